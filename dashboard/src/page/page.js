// Keeps the page as the server says it is, by server-sent events.
"use strict";

const snapshot = document.getElementById("snapshot");
const feed = document.getElementById("feed");
const news = document.getElementById("news");
const pause = document.getElementById("pause");
const still = matchMedia("(prefers-reduced-motion: reduce)");
// Beside this file, wherever the page is mounted.
const events = new URL("events", document.currentScript.src);
let source = null;
let announced = newest();

pause.hidden = false;
pause.addEventListener("click", () => (source ? stop() : start()));
start();

function start() {
  pause.textContent = "Pause";
  tell("Connecting …");
  source = new EventSource(events);
  source.onopen = () => tell("Live");
  source.onmessage = (event) => show(event.data);
  source.onerror = () => {
    const gone = source.readyState === EventSource.CLOSED;
    tell(gone ? "The server refuses. Open the link with the token again." : "The server does not answer. Trying again …");
  };
}

function stop() {
  source.close();
  source = null;
  pause.textContent = "Resume";
  tell("Paused");
}

// Says it once: a screen reader reads it out each time.
function tell(state) {
  if (feed.textContent !== state) feed.textContent = state;
}

function show(html) {
  const next = new DOMParser().parseFromString(html, "text/html");
  merge(snapshot, next.body);
  announce();
}

// The highest number of an ended response.
function newest() {
  const row = document.querySelector("#ended tbody tr");
  return row ? Number(row.id.slice(1)) : 0;
}

// Shows which rows are new, and reads out what was cut short, and nothing else.
function announce() {
  const fresh = [...document.querySelectorAll("#ended tbody tr")].filter((row) => Number(row.id.slice(1)) > announced);
  announced = newest();
  if (!still.matches) fresh.forEach((row) => row.animate({ opacity: [0.2, 1] }, 700));
  const cut = fresh.filter((row) => row.className === "cut");
  if (cut.length === 0) return;
  const cell = (name) => cut[0].querySelector(`.${name}`).textContent;
  const others = cut.length > 1 ? `, and ${cut.length - 1} more` : "";
  news.textContent = `${cell("request")} for ${cell("client")} ended: ${cell("outcome")}${others}`;
}

// Makes `old` like `next`, and touches nothing that is the same: a selection and a reader's place stay.
function merge(old, next) {
  for (const { name, value } of next.attributes) {
    if (old.id !== "snapshot" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const named = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  let place = old.firstChild;
  for (const child of [...next.childNodes]) {
    const match = child.id ? named.get(child.id) : place && !place.id && place.nodeName === child.nodeName && place;
    if (!match) {
      old.insertBefore(child, place);
      continue;
    }
    if (match === place) place = place.nextSibling;
    else old.insertBefore(match, place);
    if (match.nodeType === Node.ELEMENT_NODE) merge(match, child);
    else if (match.data !== child.data) match.data = child.data;
  }
  while (place) {
    const gone = place;
    place = place.nextSibling;
    gone.remove();
  }
}
