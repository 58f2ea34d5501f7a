// What became of an answer: on its way with how far it is, received with its receipt, or over without anything sent.

import { openReceipt } from "./afterwards.js";
import { announce, busy, h, replace } from "./dom.js";
import { moment, parseUs, range, share } from "./format.js";
import { icon } from "./icons.js";
import { hrefs } from "./router.js";
import { texts } from "./texts.js";

const t = texts.decide;
const ASK_MS = 3_000;
const SLOW_MS = 12_000;
const ON_THE_WAY = new Set(["approved", "released"]);
const DRAWINGS = { approved: "send", released: "send", slow: "clock", received: "check", declined: "shield" };

/** Show how it stands, and go on showing it while it is on its way; returns what closes it. */
export function showOutcome(root, answer, { elsewhere }) {
  const outcome = new Outcome(root, answer, elsewhere);
  outcome.begin();
  return outcome;
}

class Outcome {
  #answer;
  #sent;
  #state = "";
  #since = performance.now();
  #timer = 0;
  #stop = () => {};
  #title = h("h1", {});
  #what = h("p", { class: "lead" });
  #bar = h("div", { class: "panel sending-bar", hidden: true });
  #after = h("div", {});
  #place;

  constructor(root, answer, elsewhere) {
    this.#answer = answer;
    this.#place = answer.place;
    this.#sent = this.#place.sent_bytes;
    replace(
      root,
      h("p", { class: "crumb" }, h("a", { href: hrefs.request(answer.leaf) }, icon("left", { size: 16 }), texts.review.back)),
      elsewhere && h("div", { class: "notice warn", role: "alert" }, h("p", {}, h("b", {}, t.elsewhere), " ", t.elsewhereWhat)),
      this.#title,
      this.#what,
      this.#bar,
      this.#after,
    );
  }

  begin() {
    this.#show();
    if (ON_THE_WAY.has(this.#place.state)) {
      const { leaf, device } = this.#answer;
      this.#stop = this.#answer.on("sending", (line) => { if (line.leaf === leaf && line.device === device) { this.#hear(line); } });
      this.#later();
    }
  }

  close() {
    clearTimeout(this.#timer);
    this.#stop();
  }

  async #hear(line) {
    if (!ON_THE_WAY.has(line.state)) {
      await this.#ask();
      return;
    }
    this.#place = { ...this.#place, state: line.state, sent_bytes: line.sent_bytes ?? this.#place.sent_bytes, total_bytes: line.total_bytes ?? this.#place.total_bytes };
    this.#show();
  }

  #later() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), ASK_MS);
  }

  async #ask() {
    if (await this.#answer.again()) { // if not, the next time may get through
      const now = this.#answer.place;
      this.#place = { ...now, total_bytes: now.total_bytes ?? this.#place.total_bytes };
      this.#show();
    }
    if (ON_THE_WAY.has(this.#place.state)) {
      this.#later();
    } else {
      this.close();
    }
  }

  #show() {
    const { sent_bytes: sent, total_bytes: total, state } = this.#place;
    const onTheWay = ON_THE_WAY.has(state);
    if (sent !== this.#sent) {
      this.#sent = sent;
      this.#since = performance.now();
    }
    const name = onTheWay && performance.now() - this.#since > SLOW_MS ? "slow" : t.states[state] ? state : "other";
    if (name !== this.#state) {
      this.#state = name;
      const words = t.states[name];
      replace(this.#title, icon(DRAWINGS[name] ?? "info", { size: 28 }), " ", words.title);
      this.#title.className = `outcome outcome-${name}`;
      this.#what.textContent = words.what;
      announce(`${words.title}. ${words.what}`);
      replace(this.#after, this.#afterwards(name));
    }
    this.#bar.hidden = !onTheWay;
    if (onTheWay) {
      this.#showBar(sent ?? 0, total);
    }
  }

  #showBar(sent, total) {
    const part = total ? Math.min(1, sent / total) : 0;
    const fill = this.#bar.querySelector("i") ?? h("i");
    fill.style.setProperty("--part", part);
    const words = total ? `${t.sent(sent, total)}, ${share(part)}` : "";
    if (!fill.isConnected) {
      replace(
        this.#bar,
        h("div", { class: "progress", role: "progressbar", "aria-label": t.bar, "aria-valuemin": 0, "aria-valuemax": 100 }, fill),
        h("p", { class: "quiet numbers sending-words" }),
        h("p", { class: "sending-closable" }, icon("check", { size: 16 }), " ", t.closable),
      );
    }
    this.#bar.querySelector("[role=progressbar]").setAttribute("aria-valuenow", Math.round(part * 100));
    this.#bar.querySelector(".sending-words").textContent = words;
  }

  #afterwards(name) {
    const links = h("div", { class: "row" }, h("a", { class: "button", href: hrefs.ledger() }, icon("ledger"), t.ledger), h("a", { class: "button", href: hrefs.requests() }, t.requests));
    return name === "received" ? [this.#receipt(), links] : links;
  }

  #receipt() {
    const { request, leaf, device, agency } = this.#answer;
    const place = this.#place;
    const download = h("button", { type: "button", class: "primary", onclick: () => busy(download, () => openReceipt(leaf, device)) }, icon("download"), t.download);
    const asked = range(parseUs(request.request.start), parseUs(request.request.end));
    const facts = [
      [t.receivedAt, place.received_us ? moment(place.received_us) : null],
      [t.agency, `${agency}, ${request.request.case}`],
      [t.what, t.given(device, place.total_bytes)],
      [t.askedFor, asked],
      [t.signedBy, t.inbox],
    ];
    return h(
      "section",
      { class: "panel receipt", "aria-label": t.receipt },
      h("h2", {}, t.receipt),
      h("dl", {}, facts.filter(([, what]) => what).flatMap(([label, what]) => [h("dt", {}, label), h("dd", {}, what)])),
      download,
    );
  }
}
