// Addresses of films live for some minutes. A player that is still open then is given a new one, at the same picture.

const AGAIN_MS = 60_000;

/** Give a video a new address when its own stops working; `ask` gets one. What fails again soon stays failed. */
export function keepFresh(video, ask) {
  let last = -Infinity;
  video.addEventListener("error", async () => {
    if (!video.hasAttribute("src") || performance.now() - last < AGAIN_MS) {
      return;
    }
    last = performance.now();
    const at = video.currentTime;
    const address = await ask().catch(() => null); // the error stays on view
    if (address !== null) {
      video.src = address;
      video.currentTime = at;
    }
  });
}
