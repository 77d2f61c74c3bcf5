// Keeps a page as the files are. The server tells that they have changed; the page is then fetched once more, and the parts that
// differ take the place of those that stand. Without this script the page is the same, and a reload does it.
"use strict";
(() => {
  const state = document.getElementById("state");
  const served = new Map(); // what each part was when it came
  let source = null, address = document.body.dataset.follow, busy = false, again = false;

  const parts = page => [...page.querySelectorAll("[data-part]")];
  const say = (text, look) => { state.textContent = text; state.className = look; };

  function place(page) {
    for (const part of parts(page)) {
      const old = document.getElementById(part.id), text = part.outerHTML;
      if (served.get(part.id) === text) continue;
      const read = getSelection();
      if (old && !read.isCollapsed && old.contains(read.anchorNode)) { again = true; continue; } // somebody is copying a text
      served.set(part.id, text);
      const fresh = document.importNode(part, true);
      if (!old) { insert(part, page, fresh); continue; }
      for (const each of fresh.querySelectorAll("details[id]")) each.open = document.getElementById(each.id)?.open ?? each.open;
      for (const each of fresh.querySelectorAll("input[type=checkbox]")) each.checked = document.getElementById(each.id)?.checked ?? false;
      for (const [place, each] of [...fresh.querySelectorAll(".scroll")].entries()) fresh.keep = [...(fresh.keep || []), [each, old.querySelectorAll(".scroll")[place]?.scrollLeft || 0]];
      const focus = old.contains(document.activeElement) ? path(document.activeElement, old) : null;
      old.replaceWith(fresh);
      for (const [each, left] of fresh.keep || []) each.scrollLeft = left;
      if (focus) fresh.querySelector(focus)?.focus({preventScroll: true});
    }
    const there = new Set(parts(page).map(each => each.id));
    for (const old of parts(document)) if (!there.has(old.id)) { served.delete(old.id); old.remove(); }
    document.title = page.title;
    address = page.body.dataset.follow || address; // a page that is not there now may come back
  }

  // A part that was not there goes behind the one that it follows.
  function insert(part, page, fresh) {
    const all = parts(page), before = document.getElementById(all[all.indexOf(part) - 1]?.id);
    if (before && before.parentElement.id === "content") before.after(fresh); else document.getElementById("content").prepend(fresh);
  }

  // Where an element stands in a part, so that who moves by keyboard stays there.
  function path(element, part) {
    const steps = [];
    for (let each = element; each !== part; each = each.parentElement) {
      steps.unshift(`${each.tagName.toLowerCase()}:nth-child(${[...each.parentElement.children].indexOf(each) + 1})`);
    }
    return steps.length ? `:scope > ${steps.join(" > ")}` : null;
  }

  async function refresh() {
    if (busy) { again = true; return; }
    busy = true; again = false;
    try {
      const answer = await fetch(location.href, {cache: "no-store"});
      if (answer.ok || answer.status === 404) { // which says why there is no such page
        place(new DOMParser().parseFromString(await answer.text(), "text/html"));
        if (source?.readyState === EventSource.OPEN) live();
      } else again = true;
    } catch { again = true; lost(); } finally { busy = false; } // what changed is not told again
    if (again) setTimeout(refresh, 1000);
  }

  const live = () => say("live", "live");
  const lost = () => say("the server is not there; trying again", "lost");

  function follow() {
    source = new EventSource(address);
    source.onopen = live;
    source.onmessage = refresh;
    source.onerror = () => { lost(); if (source.readyState === EventSource.CLOSED) setTimeout(start, 3000); };
  }
  function stop() { source?.close(); source = null; }
  function start() { stop(); if (!document.hidden) follow(); }

  for (const part of parts(document)) served.set(part.id, part.outerHTML);
  // A page that nobody sees holds no connection: browsers have but six to a server.
  document.addEventListener("visibilitychange", start);
  addEventListener("pagehide", stop);
  addEventListener("pageshow", event => { if (event.persisted) start(); });
  start();
})();
