// What stands in the lanes beside single marks: bars for what took time, columns where there is too much for marks.

const COLUMN = 4;

// What took time, in rows below its lane's marks so that nothing lies over another.
function stackBars(story) {
  const bars = [], ends = story.lanes.map(() => []);
  for (const item of story.happenings) {
    const isHold = item.kind === 'claim' && item.details?.event !== 'renew';
    if (!isHold && item.kind !== 'span' && item.kind !== 'run') continue;
    if (item.kind === 'run' && item.until === null) continue;
    const rows = ends[item.lane];
    let level = rows.findIndex((end) => end <= item.at);
    if (level < 0) level = rows.length < 8 ? rows.length : 7;
    rows[level] = item.until ?? Infinity;
    bars.push({ item, level, until: item.until, label: isHold ? item.details?.subject ?? item.title : item.title });
  }
  return bars;
}

// Too many for marks: how much of what happened in each lane, as columns.
function drawDensity(timeline, c, first, end) {
  const columns = Math.ceil(timeline.plotWidth / COLUMN), lanes = timeline.story.lanes.length, groups = GROUPS.length + 1;
  const counts = new Uint32Array(lanes * columns * groups), places = timeline.view.scale.places;
  let most = 1;
  for (let i = first; i < end; i++) {
    const item = timeline.story.happenings[i];
    const column = Math.floor((timeline.x(places[i]) - timeline.gutter) / COLUMN);
    if (column < 0 || column >= columns || !timeline.view.shows(item)) continue;
    const slot = (item.lane * columns + column) * groups;
    counts[slot + (item.bad ? 0 : item.group + 1)]++;
  }
  const sums = new Uint32Array(lanes * columns);
  for (let slot = 0; slot < sums.length; slot++) {
    for (let group = 0; group < groups; group++) sums[slot] += counts[slot * groups + group];
    most = Math.max(most, sums[slot]);
  }
  const room = timeline.laneHeight - 12, height = room / most, done = new Float64Array(sums.length);
  for (let group = 0; group < groups; group++) {
    c.fillStyle = group ? timeline.colours.groups[group - 1] : timeline.colours.bad;
    for (let slot = 0; slot < sums.length; slot++) {
      const tall = counts[slot * groups + group] * height;
      if (!tall) continue;
      const lane = Math.floor(slot / columns), bottom = timeline.top(lane) + timeline.laneHeight - 4;
      c.fillRect(timeline.gutter + (slot % columns) * COLUMN, bottom - done[slot] - tall, COLUMN - 1, tall);
      done[slot] += tall;
    }
  }
}

function roundRect(c, x, y, width, height, radius) {
  c.beginPath();
  c.roundRect(x, y, width, height, Math.min(radius, width / 2));
  c.fill();
}

// A step of time that people count in, at least as long as wanted.
function niceStep(wanted) {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];
  if (wanted > 1) return steps.find((step) => step >= wanted) ?? Math.ceil(wanted / 86400) * 86400;
  const power = 10 ** Math.floor(Math.log10(wanted));
  return [1, 2, 5, 10].map((n) => n * power).find((step) => step >= wanted);
}
