// A clip that is being trimmed: shown picture by picture, in wall-clock microseconds. It plays what is chosen of it.

const MICROSECONDS = 1e6;

export class ClipPlayer {
  #video;
  #film;
  #range;
  #tell;
  #frame = 0;
  #wanted = null;
  #sought = null;

  /**
   * @param {HTMLVideoElement} video
   * @param {{url: string, start_us: number, end_us: number}} film
   * @param {() => {from_us: number, until_us: number}} range what to play
   * @param {() => void} tell called whenever the position or the playing changes
   */
  constructor(video, film, range, tell) {
    this.#video = video;
    this.#film = film;
    this.#range = range;
    this.#tell = tell;
    video.addEventListener("seeked", () => this.#seeked());
    for (const kind of ["play", "pause", "loadeddata", "ended"]) {
      video.addEventListener(kind, () => this.#moved());
    }
    video.addEventListener("loadedmetadata", () => { if (this.#wanted !== null) { this.#go(); } });
    video.src = film.url;
  }

  get playing() {
    return !this.#video.paused;
  }

  get at_us() {
    return this.#wanted ?? Math.round(this.#film.start_us + this.#video.currentTime * MICROSECONDS);
  }

  /** Show the picture of an instant; the last of several wishes counts. */
  seek(atUs) {
    this.#wanted = Math.round(Math.min(Math.max(atUs, this.#film.start_us), this.#film.end_us));
    if (!this.#video.seeking && this.#video.readyState > 0) {
      this.#go();
    }
    this.#tell();
  }

  pause() {
    this.#video.pause();
  }

  /** Play what is chosen, from its start if one is not within it; or stop. */
  async toggle() {
    if (this.playing) {
      this.pause();
      return;
    }
    const { from_us: from, until_us: until } = this.#range();
    if (this.at_us < from || this.at_us >= until - MICROSECONDS / 10) {
      this.seek(from);
    }
    await this.#video.play().catch(() => {}); // paused again before it began
  }

  close() {
    cancelAnimationFrame(this.#frame);
    this.#video.pause();
    this.#video.removeAttribute("src");
    this.#video.load();
  }

  #go() {
    this.#sought = this.#wanted;
    // A hair past the instant: the picture that begins just then is the one to be shown.
    this.#video.currentTime = (this.#wanted - this.#film.start_us) / MICROSECONDS + 0.001;
  }

  #seeked() {
    if (this.#wanted !== this.#sought) {
      this.#go();
      return;
    }
    this.#wanted = null;
    this.#moved();
  }

  #moved() {
    cancelAnimationFrame(this.#frame);
    const { until_us: until } = this.#range();
    if (this.playing && this.#wanted === null && this.at_us >= until) {
      this.pause();
    }
    this.#tell();
    if (this.playing) {
      this.#frame = requestAnimationFrame(() => this.#moved());
    }
  }
}
