"use strict";

const POLL_MS = 1000;
// A browser opens six connections to a host: pictures are asked for one by one, not streamed.
const PICTURE_MS = 250;
const RETRY_MS = 2000;
const OVER_MS = 60000;

const element = (id) => document.getElementById(id);
const tiles = new Map();
let alive = true;

function say(text, bad) {
  element("state").textContent = text;
  element("state").classList.toggle("bad", bad);
}

// A source that is over gives no more pictures; its last one stays.
const isOver = (state) => state === "ended" || state === "lost";

function addTile(name) {
  const link = document.createElement("a");
  link.href = `${name}/`;
  const picture = document.createElement("img");
  picture.alt = `The newest frame of ${name} with its classes in color`;
  const line = document.createElement("p");
  const title = document.createElement("strong");
  title.textContent = name;
  const figures = document.createElement("span");
  figures.className = "figures";
  const state = document.createElement("span");
  state.className = "state";
  line.append(title, figures, state);
  link.append(picture, line);
  element("sources").append(link);
  const tile = { figures, state, over: false };
  const show = () => {
    picture.src = `${name}/picture?t=${Date.now()}`;
  };
  const showAfter = (pause) => () => setTimeout(show, tile.over ? OVER_MS : pause);
  picture.addEventListener("load", showAfter(PICTURE_MS));
  picture.addEventListener("error", showAfter(RETRY_MS));
  show();
  return tile;
}

function showSource(source) {
  if (!tiles.has(source.name)) tiles.set(source.name, addTile(source.name));
  const tile = tiles.get(source.name);
  tile.over = isOver(source.state);
  const rates =
    source.age_p50_ms === null
      ? [`${source.frames} ${source.frames === 1 ? "frame" : "frames"}`]
      : [`${source.fps.toFixed(1)} FPS`, `age ${source.age_p50_ms.toFixed(0)} ms`];
  const skipped = source.skipped ? [`${source.skipped} skipped`] : [];
  tile.figures.textContent = [...rates, `${source.dropped} dropped`, ...skipped].join(", ");
  tile.state.textContent = source.state_line;
  tile.state.classList.toggle("bad", !["live", "ended"].includes(source.state));
}

async function poll() {
  try {
    const answer = await fetch("sources");
    if (answer.status === 401) throw new Error("the token is no longer right: open the page anew");
    if (!answer.ok) throw new Error("the run does not answer");
    if (!alive) location.reload();
    const sources = await answer.json();
    const [first] = sources;
    element("about").textContent = `${first.bundle} (${first.precision}) on ${first.engine}`;
    sources.forEach(showSource);
    say(`${sources.length} sources`, false);
  } catch (error) {
    alive = false;
    say(error instanceof TypeError ? "the run does not answer" : error.message, true);
  }
  setTimeout(poll, POLL_MS);
}

poll();
