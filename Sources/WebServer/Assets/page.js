// What the pages can do besides being read: they stay up to date while somebody looks, show what a task wrote, and give orders. Without this
// they can all be read.
"use strict";

const liveMilliseconds = 3000;
const state = document.getElementById("state");

function say(text) {
  state.textContent = text;
}

// Times by the clock of who looks.
function showTimes(root) {
  for (const time of root.querySelectorAll("time[data-seconds]")) {
    const date = new Date(Number(time.dataset.seconds) * 1000);
    time.dateTime = date.toISOString();
    time.textContent = date.toLocaleString();
  }
}

// The same page, anew: only its content is taken over, and not while somebody marks text or has moved into it.
async function refresh() {
  const main = document.querySelector("main[data-live]");
  if (!main || document.hidden) return;
  const isInUse = main.contains(document.activeElement) && document.activeElement !== main;
  if (isInUse || !getSelection().isCollapsed) return;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) throw new Error("the answer was " + answer.status);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
    if (!fresh) throw new Error("the answer was no page");
    main.replaceChildren(...fresh.childNodes);
    wire(main);
    document.body.classList.remove("stale");
    say("as of " + new Date().toLocaleTimeString());
  } catch (error) {
    document.body.classList.add("stale");
    say("not up to date: " + error.message);
  }
}

// What a task wrote comes behind the rest of its page.
async function showOutputs(root) {
  for (const place of root.querySelectorAll("[data-output]")) {
    try {
      const answer = await fetch(place.dataset.output);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const pieces = page.querySelectorAll("main pre, main p.error, main pre ~ p");
      if (pieces.length > 0) place.replaceChildren(...pieces);
    } catch (error) {
      say("its output could not be fetched: " + error.message);
    }
  }
}

async function send(path, body) {
  const answer = await fetch(path, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
  });
  const text = await answer.text();
  let result;
  try { result = JSON.parse(text); } catch { result = { error: text.trim() }; }
  if (!answer.ok) throw new Error(result.error);
  return result;
}

// An order is counted first, and carried out when a person has agreed to the number.
async function order(button) {
  const body = JSON.parse(button.dataset.body);
  button.disabled = true;
  try {
    const count = await send(button.dataset.order, { ...body, dry_run: true });
    if (!confirm(count.sentence)) return;
    const result = await send(button.dataset.order, body);
    say(result.sentence);
    button.blur();
    await refresh();
  } catch (error) {
    say(error.message);
    alert(error.message);
  } finally {
    button.disabled = false;
  }
}

function wire(root) {
  showTimes(root);
  showOutputs(root);
  for (const button of root.querySelectorAll("button[data-order]")) {
    button.addEventListener("click", () => order(button));
  }
}

wire(document);
if (document.querySelector("main[data-live]")) setInterval(refresh, liveMilliseconds);
