"use strict";
const main = document.querySelector("main");
const state = document.querySelector("#state");
let source = null;

function show(event) {
  const told = JSON.parse(event.data);
  state.textContent = told.trouble;
  if (told.trouble || !getSelection().isCollapsed) return; // nobody loses what is marked
  const open = main.querySelector("details")?.open;
  main.innerHTML = told.body;
  document.title = told.title;
  if (open) main.querySelector("details")?.setAttribute("open", "");
}

function follow() {
  source?.close();
  source = null;
  if (document.hidden) return; // a page that nobody sees asks for nothing
  source = new EventSource("events" + location.search);
  source.onmessage = show;
  source.onerror = () => {
    state.textContent = "No answer from `bursar serve`: these figures are not live.";
  };
}

document.addEventListener("visibilitychange", follow);
follow();
