// The panels: what is shown, what happened last, the state at the moment, and one happening in full.
// Everything from the story gets into the page as text, never as markup.

const FEED = 40, ROWS = 25, A_FEW = 5;

function element(name, className = '', text = null) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== null) made.textContent = text;
  return made;
}

function dot(colour) {
  const made = element('span', 'dot');
  made.style.background = colour;
  return made;
}

function plain(value) {
  return typeof value === 'string' ? value : JSON.stringify(value) ?? '';
}

// A heading with rows below it. Rows are kept and filled anew: what did not change costs nothing.
class Rows {
  constructor(parent, heading, rowName) {
    this.heading = element(heading);
    this.list = element('div');
    this.more = element('p', 'empty');
    this.rowName = rowName;
    this.known = new Map();
    parent.append(this.heading, this.list, this.more);
  }

  // The `key` of an entry tells which rows are of the same thing; with `marks`, one that changed stands out.
  show(title, entries, total) {
    setText(this.heading, title);
    setText(this.more, total > entries.length ? `and ${(total - entries.length).toLocaleString('en')} more` : '');
    this.heading.hidden = !title;
    const known = new Map(), children = this.list.children;
    entries.forEach((entry, index) => {
      const row = children[index] ?? this.list.appendChild(this.makeRow());
      const before = this.known.get(entry.key), signature = `${entry.rest}\n${entry.tag}`;
      known.set(entry.key, signature);
      row.hidden = false;
      this.fill(row, entry);
      row.classList.toggle('changed', entry.marks === true && this.known.size > 0 && before !== signature);
    });
    for (let index = entries.length; index < children.length; index++) children[index].hidden = true;
    this.known = known;
  }

  makeRow() {
    const row = element(this.rowName, 'row');
    if (this.rowName === 'button') row.type = 'button';
    row.append(element('span', 'dot'), element('span', 'name'), element('span', 'rest'), element('span', 'tag'));
    row.addEventListener('click', () => row.act?.());
    return row;
  }

  fill(row, { colour, name, rest, tag, bad, act, current, when }) {
    const [mark, title, text, last] = row.children;
    mark.hidden = !colour;
    if (colour && mark.colour !== colour) mark.style.background = mark.colour = colour;
    setText(title, name);
    setText(text, rest);
    setText(last, tag);
    last.hidden = !tag;
    last.className = when ? 'when' : bad ? 'tag bad' : 'tag';
    text.className = bad && when ? 'rest bad' : 'rest';
    row.act = act;
    if (current !== undefined) row.setAttribute('aria-current', String(current));
  }
}

function setText(target, text) {
  if (target.shownText !== text) target.textContent = target.shownText = text;
}

class Panels {
  constructor(story, view, states, act) {
    Object.assign(this, { story, view, states, act });
    this.colours = readColours();
    this.shown = '';
    this.feed = new Rows(get('feed'), 'h2', 'button');
    get('state').append(element('h2', '', 'State at this moment'));
    this.sections = new Map(SECTIONS.map(([name]) => [name, new Rows(get('state'), 'h3', 'div')]));
    this.tellTitle();
    this.makeChips();
  }

  takeTheme() {
    this.colours = readColours();
    this.makeChips();
    this.shown = '';
    this.showChosen();
  }

  tellTitle() {
    const { title, happenings, lanes, start, gaps, notes } = this.story;
    get('title').textContent = title;
    const agents = lanes.filter(Boolean).length;
    const when = start ? `, ${showTime(this.story, 0).slice(0, 19)} UTC` : '';
    get('subtitle').textContent =
      `${happenings.length.toLocaleString('en')} happenings, ${agents} agent${agents === 1 ? '' : 's'}, `
      + `${showSeconds(this.story.last)}${when}`;
    const warnings = [...(gaps.length ? ['Not everything is told by events; the end is what the store holds.'] : []),
      ...gaps.slice(0, 5), ...(gaps.length > 5 ? [`and ${gaps.length - 5} more gaps`] : []), ...notes];
    const box = get('warnings');
    box.hidden = !warnings.length;
    box.replaceChildren(...warnings.map((text) => element('div', '', text)));
  }

  makeChips() {
    const counts = GROUPS.map(() => 0);
    for (const item of this.story.happenings) counts[item.group]++;
    const chips = GROUPS.flatMap((group, index) => {
      if (!counts[index]) return [];
      const chip = element('button', 'chip');
      chip.type = 'button';
      chip.append(dot(this.colours.groups[index]), group.name, element('span', 'count', counts[index].toLocaleString('en')));
      chip.setAttribute('aria-pressed', String(!this.view.hiddenGroups.has(index)));
      chip.addEventListener('click', () => this.act.toggleGroup(index, chip));
      return [chip];
    });
    get('chips').replaceChildren(...chips);
  }

  // The panels that follow the moment. They are filled anew only when something in them changed.
  update() {
    const count = this.view.count, wanted = `${count} ${this.view.version}`;
    if (wanted === this.shown) return;
    const before = Number.parseInt(this.shown, 10);
    if (before !== count) this.showState(this.states.after(count), Math.abs(count - before) <= A_FEW);
    this.shown = wanted;
    this.showFeed(count);
  }

  showFeed(count) {
    const rows = [];
    for (let i = count - 1; i >= 0 && rows.length < FEED; i--) {
      const item = this.story.happenings[i];
      if (this.view.shows(item)) rows.push(this.feedRow(item));
    }
    this.feed.show('What happened', rows, rows.length);
  }

  feedRow(item) {
    const lane = this.story.lanes[item.lane] || 'run';
    const to = item.to === EVERY_LANE ? ' \u2192 all' : item.to === NO_LANE ? '' : ` \u2192 ${this.story.lanes[item.to]}`;
    return {
      key: item.index,
      colour: item.bad ? this.colours.bad : this.colours.groups[item.group],
      name: lane + to,
      rest: item.title,
      tag: showMoment(item.at, this.story.last / 200),
      when: true,
      bad: item.bad,
      current: item === this.view.chosen,
      act: () => this.act.choose(item),
    };
  }

  // `marks` tells whether rows that changed stand out: after a jump all of them would.
  showState(state, marks) {
    for (const [name, entriesOf] of SECTIONS) {
      const [entries, rowOf] = entriesOf(state);
      const rows = entries.slice(0, ROWS).map((entry) => ({ key: entry[0], marks, ...rowOf(entry) }));
      this.sections.get(name).show(entries.length ? `${name} (${entries.length.toLocaleString('en')})` : '', rows, entries.length);
    }
  }

  showChosen() {
    const box = get('details'), item = this.view.chosen;
    box.hidden = !item;
    if (!item) return;
    const head = element('div', 'headline'), close = element('button', '', '\u00d7');
    close.type = 'button';
    close.setAttribute('aria-label', 'Close the details');
    close.addEventListener('click', () => this.act.choose(null));
    head.append(element('p', item.bad ? 'bad' : '', item.title), close);
    const list = element('dl');
    const told = { kind: item.kind, who: this.story.lanes[item.lane] || 'run', at: `${showTime(this.story, item.at)} UTC` };
    if (item.until !== null) told.took = showSeconds(item.until - item.at);
    for (const [name, value] of Object.entries({ ...told, ...item.details })) {
      const text = typeof value === 'string' ? value : JSON.stringify(value, null, 1);
      list.append(element('dt', '', name), element('dd', '', text));
    }
    box.replaceChildren(element('h2', '', 'Details'), head, list);
  }
}

// The sections of the state: what is in them, and what a row of each says.
const SECTIONS = [
  ['Agents', (state) => {
    const unread = unreadCounts(state);
    return [[...state.agents], ([name, agent]) => ({
      name,
      rest: agent.steps.length ? `holds ${agent.steps.join(', ')}` : '',
      tag: unread.get(name) ? `${unread.get(name)} unread` : '',
    })];
  }],
  ['Steps', (state) => [stepsOf(state), ([name, claim]) => (
    { name, rest: claim.agent ?? '', tag: claim.state.replace('_', ' '), bad: claim.state === 'blocked' })]],
  ['Memory', (state) => [[...state.memory], ([name, value]) => (
    { name, rest: value.deleted ? '(deleted)' : plain(value.value).slice(0, 400), tag: '' })]],
  ['Artifacts', (state) => [[...state.artifacts], ([name, file]) => (
    { name, rest: file.by ?? '', tag: `${file.size} B` })]],
  ['Messages', (state) => [[...state.mail].reverse(), ([id, letter]) => ({
    name: `${letter.from} \u2192 ${letter.to === '_broadcast' ? 'all' : letter.to}`,
    rest: plain(letter.text ?? '(gone)').slice(0, 400),
    tag: seenOf(state, id, letter),
  })]],
];

// Declared steps that nobody took yet are pending.
function stepsOf(state) {
  const pending = [...state.declared.keys()].filter((step) => !state.claims.has(step));
  const order = ['in_progress', 'blocked', 'needs_review', 'pending', 'complete'];
  return [...state.claims, ...pending.map((step) => [step, { state: 'pending', agent: null }])]
    .sort((a, b) => order.indexOf(a[1].state) - order.indexOf(b[1].state));
}

function seenOf(state, id, letter) {
  if (letter.to !== '_broadcast') return state.receipts.get(`${id} ${letter.to}`) ?? 'unread';
  let readers = 0;
  for (const name of state.receipts.keys()) if (name.startsWith(`${id} `)) readers++;
  return readers ? `read by ${readers}` : 'unread';
}
