"use strict";

const POLL_MS = 1000;
// A browser opens six connections to a host: pictures are asked for one by one, not streamed.
const PICTURE_MS = 250;
const RETRY_MS = 2000;

const element = (id) => document.getElementById(id);
const tiles = new Map();
let alive = true;

function say(text, bad) {
  element("state").textContent = text;
  element("state").classList.toggle("bad", bad);
}

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
  const show = () => {
    picture.src = `${name}/picture?t=${Date.now()}`;
  };
  picture.addEventListener("load", () => setTimeout(show, PICTURE_MS));
  picture.addEventListener("error", () => setTimeout(show, RETRY_MS));
  show();
  return { figures, state };
}

function showSource(source) {
  if (!tiles.has(source.name)) tiles.set(source.name, addTile(source.name));
  const { figures, state } = tiles.get(source.name);
  figures.textContent =
    `${source.fps.toFixed(1)} FPS, age ${source.age_p50_ms.toFixed(0)} ms, ` +
    `${source.dropped} dropped` +
    (source.skipped ? `, ${source.skipped} skipped` : "");
  const late = source.newest_s === null || source.newest_s > 2;
  if (source.newest_s === null) state.textContent = "waiting for the first frame";
  else state.textContent = late ? `no new frame for ${source.newest_s.toFixed(0)} s` : "live";
  state.classList.toggle("bad", late);
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
