// Puts the parts together: playing, pointing, keys, the address and the theme.

const SPEEDS = [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 100, 300, 1000, 3000];
const PANELS_EVERY = 110, ADDRESS_EVERY = 400, WHOLE_TAKES = 30;

const story = readStory();
const view = new View(story);
const states = new States(story);
const timeline = new Timeline(get('timeline'), story, view);
timeline.states = states;
const overview = new Overview(get('overview'), get('density'), story, view);
const panels = new Panels(story, view, states, { choose, toggleGroup });

// One frame after another while something changes.

let asked = false, lastFrame = 0, lastPanels = -PANELS_EVERY, lastAddress = 0, waitingAddress = 0, waitingPanels = 0;

function wake() {
  if (!asked) requestAnimationFrame(frame);
  asked = true;
}

function frame(now) {
  asked = false;
  const passed = Math.min(0.1, (now - lastFrame) / 1000);
  lastFrame = now;
  if (view.playing) {
    view.moveTo(view.place + passed * view.speed);
    if (view.place >= view.scale.length) setPlaying(false);
    follow();
  }
  timeline.draw();
  overview.draw();
  clearTimeout(waitingPanels);
  if (now - lastPanels < PANELS_EVERY) {
    waitingPanels = setTimeout(wake, PANELS_EVERY);
  } else {
    lastPanels = now;
    panels.update();
    overview.tell();
    get('clock').textContent =
      `${showMoment(view.time, story.last / 200)} of ${showMoment(story.last, story.last / 200)} \u00b7 ${view.count.toLocaleString('en')} / ${story.happenings.length.toLocaleString('en')}`;
  }
  tellAddress(now);
  if (view.playing) wake();
}

// While playing, the moment stays in sight.
function follow() {
  const ahead = view.place - (view.from + view.width * 0.72);
  if (ahead > 0 && view.from + view.width < view.scale.length * 1.03) view.pan(ahead);
  if (view.place < view.from) view.reveal();
}

function setPlaying(playing) {
  if (playing && view.place >= view.scale.length) { view.moveTo(0); view.reveal(); }
  view.playing = playing;
  lastFrame = performance.now();
  get('play').textContent = playing ? '\u23F8\uFE0E' : '\u25B6\uFE0E';
  get('play').setAttribute('aria-label', playing ? 'Stop' : 'Play');
  wake();
}

function setSpeed(speed) {
  view.speed = speed;
  get('speed').value = String(speed);
}

function nextSpeed(way) {
  const index = SPEEDS.indexOf(view.speed) + way;
  setSpeed(SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, index))]);
}

function seek(place) { view.moveTo(place); wake(); }

function step(way) { setPlaying(false); view.moveToCount(view.count + way); wake(); }

function choose(item) {
  view.chosen = item;
  if (item && item.index >= view.count) view.moveToCount(item.index + 1);
  panels.shown = `${panels.shown.split(' ')[0]} `;
  panels.showChosen();
  view.touch();
  wake();
}

function toggleGroup(index, chip) {
  const hidden = view.hiddenGroups;
  if (!hidden.delete(index)) hidden.add(index);
  chip.setAttribute('aria-pressed', String(!hidden.has(index)));
  view.touch();
  wake();
}

function zoom(factor, around = view.from + view.width / 2) { view.zoom(factor, around); wake(); }

// The address holds the moment: #t=12.5, seconds after the beginning, or a time as text.

let addressIsOurs = true, told = '';

function readAddress(hash) {
  const given = new URLSearchParams(hash.slice(1)).get('t');
  if (given === null) return false;
  const seconds = given.trim() !== '' && Number.isFinite(Number(given)) ? Number(given) : Date.parse(given) / 1000 - story.start;
  if (!Number.isFinite(seconds)) return false;
  view.moveToTime(seconds + 1e-4);
  view.reveal();
  told = `#t=${view.time.toFixed(3)}`;
  return true;
}

function tellAddress(now) {
  const wanted = `#t=${view.time.toFixed(3)}`;
  if (wanted === told || !addressIsOurs) return;
  clearTimeout(waitingAddress);
  if (now - lastAddress < ADDRESS_EVERY) { waitingAddress = setTimeout(wake, ADDRESS_EVERY); return; }
  lastAddress = now;
  told = wanted;
  try { history.replaceState(null, '', wanted); } catch { addressIsOurs = false; }
}

// What the event says counts: meanwhile the address may have been told anew.
window.addEventListener('hashchange', (event) => { if (readAddress(new URL(event.newURL).hash)) setPlaying(false); });

// Pointing at the timeline: drag moves it, a click chooses, the wheel zooms.

let drag = null;
const canvas = get('timeline');

canvas.addEventListener('pointerdown', (event) => {
  canvas.setPointerCapture(event.pointerId);
  drag = { x: event.offsetX, y: event.offsetY, from: view.from, scroll: view.scroll, moved: false };
  get('tip').hidden = true;
});
canvas.addEventListener('pointermove', (event) => {
  if (!drag) { pointAt(event); return; }
  const dx = event.offsetX - drag.x, dy = event.offsetY - drag.y;
  if (Math.hypot(dx, dy) > 4) drag.moved = true;
  if (!drag.moved) return;
  canvas.classList.add('dragging');
  view.scroll = Math.max(0, Math.min(timeline.mostScroll, drag.scroll - dy));
  view.pan(drag.from - dx / timeline.plotWidth * view.width - view.from);
  wake();
});
canvas.addEventListener('pointerup', (event) => {
  if (drag && !drag.moved) click(event);
  drag = null;
  canvas.classList.remove('dragging');
});
canvas.addEventListener('pointercancel', () => { drag = null; });
canvas.addEventListener('pointerleave', () => { get('tip').hidden = true; });
canvas.addEventListener('wheel', (event) => {
  event.preventDefault();
  const inNames = event.offsetX < timeline.gutter, sideways = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
  if (inNames) view.scroll = Math.max(0, Math.min(timeline.mostScroll, view.scroll + event.deltaY));
  else if (sideways) view.pan((event.deltaX || event.deltaY) / timeline.plotWidth * view.width);
  else view.zoom(Math.exp(Math.max(-80, Math.min(80, event.deltaY)) * 0.0035), timeline.placeAt(event.offsetX));
  wake();
}, { passive: false });

function click(event) {
  const { offsetX: x, offsetY: y } = event, lane = timeline.laneAt(y);
  if (x < timeline.gutter) {
    view.lane = lane === view.lane ? NO_LANE : lane;
    view.touch();
  } else {
    const item = timeline.at(x, y);
    if (!item) seek(timeline.placeAt(x));
    choose(item);
  }
  wake();
}

function pointAt(event) {
  const item = event.offsetX >= timeline.gutter ? timeline.at(event.offsetX, event.offsetY) : null, tip = get('tip');
  canvas.classList.toggle('pointing', Boolean(item) || event.offsetX < timeline.gutter);
  tip.hidden = !item;
  if (!item) return;
  tip.textContent = `${story.lanes[item.lane] || 'run'}: ${item.title}`;
  tip.style.left = `${Math.max(8, Math.min(event.offsetX + 12, timeline.cssWidth - 260))}px`;
  tip.style.top = `${event.offsetY + 16}px`;
}

// The scrubber.

const strip = get('overview');
strip.addEventListener('pointerdown', (event) => {
  strip.setPointerCapture(event.pointerId);
  scrub(event);
  strip.addEventListener('pointermove', scrub);
});
for (const ending of ['pointerup', 'pointercancel']) {
  strip.addEventListener(ending, () => strip.removeEventListener('pointermove', scrub));
}

function scrub(event) {
  view.moveTo(overview.placeAt(event.clientX - strip.getBoundingClientRect().left));
  view.reveal();
  wake();
}

// Buttons and keys.

const CLICKS = {
  play: () => setPlaying(!view.playing),
  begin: () => { seek(0); view.reveal(); },
  end: () => { seek(view.scale.length); view.reveal(); },
  back: () => step(-1),
  next: () => step(1),
  in: () => zoom(0.6),
  out: () => zoom(1.6),
  fit: () => { view.showAll(); wake(); },
  theme: nextTheme,
  help: () => get('keys').showModal(),
};
for (const [id, act] of Object.entries(CLICKS)) get(id).addEventListener('click', act);
get('speed').append(...SPEEDS.map((speed) => new Option(`${speed}\u00d7`, String(speed))));
get('speed').addEventListener('change', (event) => setSpeed(Number(event.target.value)));
get('squeeze').addEventListener('change', (event) => { view.setSqueeze(event.target.checked); timeline.drawn = ''; wake(); });
get('search').addEventListener('input', (event) => {
  view.search = event.target.value.trim().toLowerCase();
  view.touch();
  wake();
});

const KEYS = {
  ' ': CLICKS.play,
  ArrowRight: CLICKS.next,
  ArrowLeft: CLICKS.back,
  Home: CLICKS.begin,
  End: CLICKS.end,
  '+': CLICKS.in,
  '=': CLICKS.in,
  '-': CLICKS.out,
  f: CLICKS.fit,
  t: nextTheme,
  ']': () => nextSpeed(1),
  '[': () => nextSpeed(-1),
  '/': () => get('search').focus(),
  '?': CLICKS.help,
  Escape: () => { get('search').blur(); choose(null); },
};
document.addEventListener('keydown', (event) => {
  const within = event.target.closest?.('input, select, dialog');
  if (event.ctrlKey || event.metaKey || event.altKey || (within && !(event.key === 'Escape' && within.id === 'search'))) return;
  if (event.key === ' ' && event.target.closest?.('button')) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

// Light and dark: as the system has it, until somebody chooses.

const THEMES = ['auto', 'light', 'dark'];
let theme = remembered();

function remembered() {
  try { return THEMES.includes(localStorage.getItem('theme')) ? localStorage.getItem('theme') : 'auto'; } catch { return 'auto'; }
}

function nextTheme() {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  try { localStorage.setItem('theme', theme); } catch { /* a page that is a file may keep nothing */ }
  takeTheme();
}

function takeTheme() {
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  get('theme').textContent = { auto: 'Auto', light: 'Light', dark: 'Dark' }[theme];
  for (const part of [timeline, overview, panels]) part.takeTheme();
  wake();
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', takeTheme);
new ResizeObserver(wake).observe(get('frame'));

// Begin: the whole story is shown, at its end or where the address says; played, it takes about half a minute.

canvas.setAttribute('aria-label', `${story.happenings.length} happenings in ${story.lanes.length} lanes; the list beside it tells them as text`);
setSpeed(SPEEDS.find((speed) => view.scale.length / speed <= WHOLE_TAKES) ?? SPEEDS[SPEEDS.length - 1]);
view.moveTo(view.scale.length);
told = `#t=${view.time.toFixed(3)}`;
readAddress(location.hash);
setPlaying(false);
takeTheme();
