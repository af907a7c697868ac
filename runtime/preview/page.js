"use strict";

const POLL_MS = 1000;
const KEPT_POLLS = 120;
const RETRY_MS = 2000;

const element = (id) => document.getElementById(id);
const hidden = new Set();
const history = [];
let classes = [];
let seen = new Set();
let alive = true;
// Whether the source gives no more frames, and its last picture stays.
let over = false;

function look() {
  return `hide=${[...hidden].join(",")}&opacity=${element("opacity").value}`;
}

function watch() {
  // Every look is a stream of its own; the time keeps the browser from taking an old one.
  const kind = over ? "picture" : "stream";
  element("picture").src = `${kind}?${look()}&t=${Date.now()}`;
  element("snapshot").href = `snapshot?${look()}`;
}

let waiting = 0;
function watchSoon() {
  clearTimeout(waiting);
  waiting = setTimeout(watch, 150);
}

function say(text, bad) {
  element("state").textContent = text;
  element("state").classList.toggle("bad", bad);
}

function swatch(color) {
  const box = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  box.setAttribute("width", 16);
  box.setAttribute("height", 16);
  const fill = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  fill.setAttribute("width", 16);
  fill.setAttribute("height", 16);
  fill.setAttribute("fill", color);
  box.append(fill);
  return box;
}

function legendItem(index) {
  const { name, colour: color } = classes[index];
  const toggle = document.createElement("input");
  toggle.type = "checkbox";
  toggle.checked = !hidden.has(index);
  toggle.addEventListener("change", () => {
    if (toggle.checked) hidden.delete(index);
    else hidden.add(index);
    watchSoon();
  });
  const title = document.createElement("span");
  title.className = "name";
  title.textContent = name;
  const share = document.createElement("span");
  share.className = "share";
  share.id = `share-${index}`;
  const label = document.createElement("label");
  label.append(toggle, swatch(color), title, share);
  const item = document.createElement("li");
  item.append(label);
  return item;
}

// Of 150 classes a scene has a dozen: a class is listed once it was seen.
function list() {
  const shown = classes.map((_, index) => index).filter((index) => seen.has(index));
  element("legend").replaceChildren(...shown.map(legendItem));
}

function shareOf(shares, name) {
  return Object.hasOwn(shares, name) ? shares[name] : 0;
}

function showShares(shares) {
  const before = seen.size;
  classes.forEach(({ name }, index) => {
    if (Object.hasOwn(shares, name)) seen.add(index);
  });
  if (seen.size !== before) list();
  for (const index of seen) {
    const percent = 100 * shareOf(shares, classes[index].name);
    element(`share-${index}`).textContent = `${percent.toFixed(1)} %`;
  }
  history.push(shares);
  if (history.length > KEPT_POLLS) history.shift();
  drawHistory();
}

function drawHistory() {
  const canvas = element("history");
  const pen = canvas.getContext("2d");
  const width = canvas.width / KEPT_POLLS;
  pen.clearRect(0, 0, canvas.width, canvas.height);
  history.forEach((shares, column) => {
    const x = canvas.width - (history.length - column) * width;
    let y = canvas.height;
    for (const { name, colour: color } of classes) {
      const height = shareOf(shares, name) * canvas.height;
      pen.fillStyle = color;
      pen.fillRect(x, y - height, width + 0.5, height);
      y -= height;
    }
  });
}

function showFigures(stats) {
  const ms = (value) => `${value.toFixed(1)} ms`;
  const rates =
    stats.age_p50_ms === null
      ? []
      : [
          ["FPS", stats.fps.toFixed(1)],
          ["Frame age, p50", ms(stats.age_p50_ms)],
          ["Frame age, p95", ms(stats.age_p95_ms)],
        ];
  const figures = [
    ...rates,
    ["Frames", stats.frames],
    ["Dropped", stats.dropped],
    ["Skipped", stats.skipped],
    ["Reused", stats.reused],
    ["Failed", stats.failed],
    ...Object.entries(stats.stages_ms).map(([stage, value]) => [`Stage ${stage}`, ms(value)]),
    ["Viewers", stats.viewers],
  ];
  element("figures").replaceChildren(
    ...figures.map(([term, value]) => {
      const box = document.createElement("div");
      const heading = document.createElement("dt");
      const content = document.createElement("dd");
      heading.textContent = term;
      content.textContent = value;
      box.append(heading, content);
      return box;
    }),
  );
}

function showState({ state, state_line: line }) {
  const wasOver = over;
  over = state === "ended" || state === "lost";
  if (over !== wasOver) watch();
  say(line, !["live", "ended"].includes(state));
}

async function poll() {
  try {
    const answer = await fetch("stats");
    if (answer.status === 401) throw new Error("the token is no longer right: open the page anew");
    if (!answer.ok) throw new Error("the run does not answer");
    // Another run may have taken its place, with other classes.
    if (!alive) location.reload();
    const stats = await answer.json();
    showFigures(stats);
    showShares(stats.shares);
    showState(stats);
  } catch (error) {
    alive = false;
    say(error instanceof TypeError ? "the run does not answer" : error.message, true);
  }
  setTimeout(poll, POLL_MS);
}

async function start() {
  const info = await (await fetch("info")).json();
  classes = info.classes;
  element("about").textContent =
    `${info.bundle} (${info.precision}) on ${info.engine}, source ${info.source}`;
  if (info.name !== null) {
    document.title = `${info.name} - edgeseg`;
  }
  element("all-sources").hidden = !info.several;
  element("opacity").addEventListener("input", () => {
    element("opacity-value").textContent = `${element("opacity").value} %`;
    watchSoon();
  });
  element("all").addEventListener("click", () => {
    hidden.clear();
    list();
    watchSoon();
  });
  element("none").addEventListener("click", () => {
    classes.forEach((_, index) => hidden.add(index));
    list();
    watchSoon();
  });
  // All places may be taken, or the run may have ended: ask again.
  element("picture").addEventListener("error", () => setTimeout(watch, RETRY_MS));
  // A phone that slept has lost its stream without an error.
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) watch();
  });
  watch();
  poll();
}

start().catch(() => {
  say("the run does not answer", true);
  setTimeout(() => location.reload(), RETRY_MS);
});
