// The state of the project at any happening: changes applied one after the other, with checkpoints to jump from.

const CHECKPOINT_EVERY = 500;

function copyOf(state) {
  return Object.fromEntries(Object.entries(state).map(([section, entries]) => [section, new Map(entries)]));
}

function apply(state, changes) {
  for (const [section, name, value] of changes) {
    if (value === null) state[section].delete(name);
    else state[section].set(name, value);
  }
}

class States {
  constructor(story) {
    this.happenings = story.happenings;
    const base = Object.fromEntries(
      Object.entries(story.base).map(([section, entries]) => [section, new Map(Object.entries(entries))]));
    this.checkpoints = [base];
    const state = copyOf(base);
    for (let i = 0; i < this.happenings.length; i++) {
      apply(state, this.happenings[i].changes);
      if ((i + 1) % CHECKPOINT_EVERY === 0) this.checkpoints.push(copyOf(state));
    }
    this.count = 0;
    this.state = copyOf(base);
  }

  // The state after the first `count` happenings. It is the same object until the next call.
  after(count) {
    const checkpoint = Math.floor(count / CHECKPOINT_EVERY);
    if (count < this.count || checkpoint * CHECKPOINT_EVERY > this.count) {
      this.state = copyOf(this.checkpoints[checkpoint]);
      this.count = checkpoint * CHECKPOINT_EVERY;
    }
    for (; this.count < count; this.count++) apply(this.state, this.happenings[this.count].changes);
    return this.state;
  }
}

// How many messages each agent has not read.
function unreadCounts(state) {
  const counts = new Map([...state.agents.keys()].map((agent) => [agent, 0]));
  for (const [id, letter] of state.mail) {
    const to = letter.to === '_broadcast' ? counts.keys() : [letter.to];
    for (const agent of to) {
      if (agent === letter.from && letter.to === '_broadcast') continue;
      if (!state.receipts.has(`${id} ${agent}`)) counts.set(agent, (counts.get(agent) ?? 0) + 1);
    }
  }
  return counts;
}
