// The story that is played, unpacked from the page's data block, and its two scales of time.

const NO_LANE = -1, EVERY_LANE = -2;

const get = (id) => document.getElementById(id);

// Groups of kinds: how they are called, which colour and which shape they have.
const GROUPS = [
  { name: 'claims', kinds: ['claim', 'release', 'declare', 'agent'], colour: '--claim', shape: 'disc' },
  { name: 'completed', kinds: ['done'], colour: '--good', shape: 'check' },
  { name: 'review', kinds: ['review'], colour: '--review', shape: 'diamond' },
  { name: 'blocked', kinds: ['blocked'], colour: '--bad', shape: 'square' },
  { name: 'refusals', kinds: ['refusal'], colour: '--bad', shape: 'cross' },
  { name: 'messages', kinds: ['message', 'read'], colour: '--message', shape: 'disc' },
  { name: 'memory', kinds: ['memory'], colour: '--memory', shape: 'square' },
  { name: 'artifacts', kinds: ['artifact'], colour: '--artifact', shape: 'triangle' },
  { name: 'spans', kinds: ['span', 'run'], colour: '--span', shape: 'disc' },
  { name: 'metrics', kinds: ['metric', 'usage', 'param'], colour: '--metric', shape: 'diamond' },
  { name: 'transcripts', kinds: ['said', 'session'], colour: '--quiet', shape: 'ring' },
  { name: 'output and notes', kinds: ['text', 'note', 'upkeep'], colour: '--quiet', shape: 'square' },
  { name: 'gaps', kinds: ['gap'], colour: '--bad', shape: 'ring' },
];
const GROUP_OF = new Map(GROUPS.flatMap((group, index) => group.kinds.map((kind) => [kind, index])));

function readStory() {
  const raw = JSON.parse(get('story').textContent);
  const lanes = raw.lanes.length ? raw.lanes : [''];
  const happenings = raw.happenings.map((row, index) => ({
    index,
    at: row[0],
    lane: Math.max(0, row[1]),
    kind: raw.kinds[row[2]],
    group: GROUP_OF.get(raw.kinds[row[2]]) ?? GROUPS.length - 2,
    title: row[3],
    to: row[4],
    until: row[5],
    bad: row[6] === 1,
    details: row[7],
    changes: row[8] || [],
  }));
  const last = happenings.reduce((end, item) => Math.max(end, item.at, item.until ?? 0), 0);
  return { ...raw, lanes, happenings, last };
}

// Seconds of the story on one side, places on the timeline on the other. With `squeeze`, long pauses take up little.
class Scale {
  constructor(story, squeeze) {
    const times = story.happenings.map((item) => item.at);
    this.times = Float64Array.from([...times, story.last]);
    this.places = new Float64Array(this.times.length);
    this.pauses = [];
    const longest = squeeze ? longestPause(this.times) : Infinity;
    for (let i = 1; i < this.times.length; i++) {
      const pause = Math.max(0, this.times[i] - this.times[i - 1]);
      this.places[i] = this.places[i - 1] + Math.min(longest, pause);
      if (pause > longest) this.pauses.push({ from: this.places[i - 1], to: this.places[i], seconds: pause });
    }
    this.length = Math.max(this.places[this.places.length - 1], 1e-3);
  }

  place(time) { return interpolate(this.times, this.places, time); }

  time(place) { return interpolate(this.places, this.times, place); }

  // How many happenings there are up to a place.
  countAt(place) { return Math.min(this.times.length - 1, firstAfter(this.places, place + 1e-9)); }
}

function longestPause(times) {
  const pauses = Array.from(times).slice(1).map((time, i) => time - times[i]).filter((pause) => pause > 0).sort((a, b) => a - b);
  if (!pauses.length) return Infinity;
  return Math.max(2, 6 * pauses[Math.floor(0.9 * (pauses.length - 1))]);
}

// The index of the first number that is greater.
function firstAfter(numbers, wanted) {
  let low = 0, high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] > wanted) high = middle; else low = middle + 1;
  }
  return low;
}

function interpolate(from, to, wanted) {
  const after = firstAfter(from, wanted);
  if (after === 0) return to[0] + Math.min(0, wanted - from[0]);
  const last = from.length - 1;
  if (after > last) return to[last] + (wanted - from[last]);
  const span = from[after] - from[after - 1];
  return to[after - 1] + (span ? (wanted - from[after - 1]) / span * (to[after] - to[after - 1]) : 0);
}

function showSeconds(seconds) {
  const sign = seconds < 0 ? '-' : '', whole = Math.abs(seconds);
  if (whole < 1) return `${sign}${Math.round(whole * 1000)} ms`;
  if (whole < 60) return `${sign}${whole.toFixed(whole < 10 ? 2 : 1)} s`;
  const pad = (number) => String(Math.floor(number)).padStart(2, '0');
  if (whole < 3600) return `${sign}${Math.floor(whole / 60)}m${pad(whole % 60)}`;
  if (whole < 86400) return `${sign}${Math.floor(whole / 3600)}h${pad(whole % 3600 / 60)}`;
  return `${sign}${Math.floor(whole / 86400)}d${pad(whole % 86400 / 3600)}h`;
}

// A moment after the beginning, as finely as it is looked at: `fine` are the seconds that should still show.
function showMoment(seconds, fine) {
  const whole = Math.max(0, seconds), pad = (number) => String(Math.floor(number)).padStart(2, '0');
  const decimals = fine >= 1 ? 0 : fine >= 0.1 ? 1 : fine >= 0.01 ? 2 : 3;
  if (whole < 60 && fine < 1) return `${whole.toFixed(decimals)} s`;
  const part = decimals ? (whole % 1).toFixed(decimals).slice(1) : '';
  const hours = Math.floor(whole / 3600);
  return `${hours ? `${hours}:${pad(whole % 3600 / 60)}` : Math.floor(whole / 60)}:${pad(whole % 60)}${part}`;
}

function showTime(story, at) {
  return new Date((story.start + at) * 1000).toISOString().replace('T', ' ').slice(0, 21);
}
