// What can be done after footage was given: keep the receipt, and ask for deletion.

import { api } from "./api.js";
import { h } from "./dom.js";
import { confirmed, toast } from "./overlays.js";
import { texts } from "./texts.js";

const t = texts.ledger;

async function orSay(work) {
  try {
    await work();
  } catch (error) {
    if (error.status === undefined) {
      throw error;
    }
    toast(error.message, { kind: "bad" });
  }
}

/** Let the browser keep a file: the address is signed, and says itself that it is a download. */
async function download(path, body) {
  const { url } = await api(path, body);
  const link = h("a", { href: url, download: "" });
  document.body.append(link);
  link.click();
  link.remove();
}

export const openReceipt = (leaf, device) => orSay(() => download("/api/receipt", { leaf, device }));
export const exportLedger = (device) => orSay(() => download("/api/export", { device }));

/** Ask an agency to delete what it was given, after saying what that means. */
export async function askDeletion(one, device, changed) {
  const body = h("ul", {}, t.deleteMeans(one.agency.name).map((line) => h("li", {}, line)));
  if (await confirmed({ title: t.deleteAsk(one.agency.name), body, yes: t.deleteYes })) {
    await orSay(async () => {
      await api("/api/deletion", { leaf: one.leaf, device });
      toast(t.deleteDone, { kind: "good" });
      changed();
    });
  }
}
