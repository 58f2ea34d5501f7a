// Which group of requests is shown: kept in this tab, so that a reload and Back come to it again.

const CHOSEN = "latchstring.requests";

export const chosenGroup = () => sessionStorage.getItem(CHOSEN) ?? "waiting";
export const keepGroup = (group) => sessionStorage.setItem(CHOSEN, group);

/** What waits is shown next. */
export const showWaiting = () => keepGroup("waiting");
