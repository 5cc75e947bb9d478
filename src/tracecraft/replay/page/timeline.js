// The timeline: a lane for each agent, bars for what took time, marks for what happened, arrows between lanes.

const AXIS = 26, BAR = 13, SMALLEST_LANE = 46, LARGEST_LANE = 176, TITLE_ROW = 14, DENSE = 2500;
const FONT = '11.5px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';

class Timeline {
  constructor(canvas, story, view) {
    Object.assign(this, { canvas, story, view });
    this.screen = canvas.getContext('2d');
    this.layer = document.createElement('canvas');
    this.drawn = '';
    this.colours = readColours();
    this.bars = stackBars(story);
    this.screen.font = FONT;
    this.letter = this.screen.measureText('the quick brown fox 0123456789').width / 30;
    const longest = Math.max(...story.lanes.map((name) => name.length), 4);
    this.gutter = Math.min(180, 46 + longest * this.letter * 1.12);
  }

  takeTheme() { this.colours = readColours(); this.drawn = ''; }

  get plotWidth() { return this.cssWidth - this.gutter; }

  get laneHeight() {
    const room = (this.cssHeight - AXIS - 6) / this.story.lanes.length;
    return Math.max(SMALLEST_LANE, Math.min(LARGEST_LANE, room));
  }

  get mostScroll() { return Math.max(0, this.laneHeight * this.story.lanes.length + AXIS + 6 - this.cssHeight); }

  x(place) { return this.gutter + (place - this.view.from) / this.view.width * this.plotWidth; }

  placeAt(x) { return this.view.from + (x - this.gutter) / this.plotWidth * this.view.width; }

  top(lane) { return AXIS + lane * this.laneHeight - this.view.scroll; }

  middle(lane) { return this.top(lane) + Math.round(Math.min(this.laneHeight * 0.5, 72)); }

  // Drawing

  draw() {
    const resized = fitCanvas(this.canvas), ratio = window.devicePixelRatio || 1;
    this.cssWidth = this.canvas.width / ratio;
    this.cssHeight = this.canvas.height / ratio;
    this.view.scroll = Math.min(this.view.scroll, this.mostScroll);
    const wanted = `${this.view.version} ${this.view.scroll}`;
    if (resized || this.drawn !== wanted) this.drawLayer(ratio);
    this.drawn = wanted;
    const c = this.screen;
    c.setTransform(1, 0, 0, 1, 0, 0);
    c.drawImage(this.layer, 0, 0);
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.drawMoment(c);
  }

  // What stays the same while the moment moves.
  drawLayer(ratio) {
    if (this.layer.width !== this.canvas.width || this.layer.height !== this.canvas.height) {
      this.layer.width = this.canvas.width;
      this.layer.height = this.canvas.height;
    }
    const c = this.layer.getContext('2d', { alpha: false });
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.background = this.colours.panel;
    c.font = FONT;
    c.textBaseline = 'middle';
    this.drawLanes(c);
    c.save();
    c.beginPath();
    c.rect(this.gutter, 0, this.plotWidth, this.cssHeight);
    c.clip();
    this.drawAxis(c);
    const [first, end] = this.visible();
    if (end - first > DENSE) {
      drawDensity(this, c, first, end);
    } else {
      this.drawBars(c);
      this.drawMarks(c, first, end);
    }
    c.restore();
  }

  drawLanes(c) {
    c.fillStyle = this.colours.panel;
    c.fillRect(0, 0, this.cssWidth, this.cssHeight);
    this.story.lanes.forEach((_, lane) => {
      if (lane % 2 === 0) {
        c.fillStyle = this.colours.lane;
        c.fillRect(0, this.top(lane), this.cssWidth, this.laneHeight);
      }
      c.fillStyle = this.colours.rule;
      c.fillRect(this.gutter, this.middle(lane) - 0.5, this.plotWidth, 1);
    });
  }

  drawAxis(c) {
    c.fillStyle = this.colours.panel;
    c.fillRect(this.gutter, 0, this.plotWidth, AXIS);
    const step = niceStep(this.view.width / this.plotWidth * 110);
    for (let n = Math.max(0, Math.ceil(this.view.from / step)); n * step <= this.view.from + this.view.width; n++) {
      const x = this.x(n * step);
      c.fillStyle = this.colours.rule;
      c.fillRect(x, 0, 1, this.cssHeight);
      c.fillStyle = this.colours.soft;
      c.fillText(showMoment(this.view.scale.time(n * step), step), x + 5, AXIS / 2);
    }
    for (const pause of this.view.scale.pauses) {
      const left = this.x(pause.from), width = this.x(pause.to) - left;
      if (left > this.cssWidth || left + width < this.gutter || width < 3) continue;
      c.fillStyle = this.colours.rule;
      for (let x = left + 4; x < left + width - 2; x += 6) c.fillRect(x, AXIS, 1, this.cssHeight);
      if (width > 46) {
        c.fillStyle = this.colours.faint;
        c.textAlign = 'center';
        c.fillText(showSeconds(pause.seconds), left + width / 2, this.cssHeight - 10);
        c.textAlign = 'left';
      }
    }
  }

  drawBars(c) {
    const levels = Math.max(1, Math.floor((this.laneHeight - (this.middle(0) - this.top(0)) - 12) / (BAR + 2)));
    const lastX = new Map();
    for (const bar of this.bars) {
      const item = bar.item, left = Math.max(this.gutter - 4, this.x(this.view.scale.places[item.index]));
      if (left > this.cssWidth || !this.view.shows(item)) continue;
      const right = Math.min(this.cssWidth + 4, this.x(bar.until === null ? this.view.scale.length : this.view.scale.place(bar.until)));
      if (right < this.gutter) continue;
      const level = bar.level, row = item.lane * 16 + level;
      if (level >= levels) continue;
      if (right - left < 1 && lastX.get(row) > left - 1) continue;
      lastX.set(row, left);
      this.drawBar(c, item, bar, left, Math.max(2, right - left), this.middle(item.lane) + 11 + level * (BAR + 2));
    }
    c.globalAlpha = 1;
  }

  drawBar(c, item, bar, left, width, top) {
    if (top + BAR > this.top(item.lane) + this.laneHeight) return;
    c.fillStyle = item.bad ? this.colours.bad : this.colours.groups[item.group];
    c.globalAlpha = bar.until === null ? 0.14 : 0.24;
    roundRect(c, left, top, width, BAR, 4);
    c.globalAlpha = 1;
    c.fillRect(left, top + 2, 2, BAR - 4);
    if (width > 34) {
      c.fillStyle = this.colours.ink;
      c.fillText(cut(bar.label, width - 12, this.letter), left + 6, top + BAR / 2 + 0.5);
    }
  }

  // Where the happenings that are in sight begin and end.
  visible() {
    const places = this.view.scale.places, count = this.story.happenings.length;
    const first = firstAfter(places, this.placeAt(this.gutter - 12));
    return [first, Math.min(count, firstAfter(places, this.placeAt(this.cssWidth + 12)))];
  }

  drawMarks(c, first, end) {
    const places = this.view.scale.places, items = this.story.happenings;
    const crowded = end - first > 400, radius = crowded ? 3 : 5;
    const lastMark = new Float64Array(this.story.lanes.length * GROUPS.length).fill(-99);
    const lastArrow = new Map(), marks = [];
    for (let i = first; i < end; i++) {
      const item = items[i];
      if (!this.view.shows(item)) continue;
      const x = this.x(places[i]), slot = item.lane * GROUPS.length + item.group;
      if (item.to !== NO_LANE) this.drawArrow(c, item, x, lastArrow, crowded);
      if (x - lastMark[slot] < (crowded ? 2 : 0.5)) continue;
      lastMark[slot] = x;
      marks.push([item, x]);
    }
    for (const [item, x] of marks) this.drawMark(c, item, x, radius);
    if (!crowded) this.drawTitles(c, marks);
  }

  drawMark(c, item, x, radius) {
    c.fillStyle = c.strokeStyle = item.bad ? this.colours.bad : this.colours.groups[item.group];
    SHAPES[GROUPS[item.group].shape](c, x, this.middle(item.lane), radius);
  }

  drawArrow(c, item, x, lastArrow, crowded) {
    const lanes = item.to === EVERY_LANE
      ? this.story.lanes.map((_, lane) => lane).filter((lane) => lane !== item.lane && this.story.lanes[lane])
      : [item.to];
    c.strokeStyle = c.fillStyle = item.bad ? this.colours.bad : this.colours.groups[item.group];
    for (const lane of lanes) {
      const pair = item.lane * 1024 + lane;
      if (x - (lastArrow.get(pair) ?? -99) < (crowded ? 5 : 1)) continue;
      lastArrow.set(pair, x);
      const y = this.middle(item.lane), to = this.middle(lane), way = Math.sign(to - y);
      c.globalAlpha = crowded ? 0.35 : 0.8;
      strokes(c, [[x, y + way * 5, x, to - way * 9]], 1.4);
      polygon(c, [[x, to - way * 3], [x - 4, to - way * 10], [x + 4, to - way * 10]]);
    }
    c.globalAlpha = 1;
  }

  // What happened, above its mark in one of a few rows, where there is room for it.
  drawTitles(c, marks) {
    const rows = Math.max(1, Math.min(4, Math.floor((this.middle(0) - this.top(0) - 10) / TITLE_ROW)));
    const ends = this.story.lanes.map(() => new Float64Array(rows).fill(-1e9));
    for (const [item, x] of marks) {
      const text = cut(item.title, 230, this.letter), width = c.measureText(text).width;
      const left = Math.min(x - 4, this.cssWidth - width - 6);
      const row = ends[item.lane].findIndex((end) => end < left - 4);
      if (row < 0) continue;
      const y = this.middle(item.lane) - 15 - row * TITLE_ROW;
      ends[item.lane][row] = left + width;
      c.fillStyle = this.colours.faint;
      c.globalAlpha = 0.45;
      if (row) c.fillRect(x - 0.5, y + 7, 1, row * TITLE_ROW + 2);
      c.globalAlpha = 1;
      c.lineWidth = 3;
      c.lineJoin = 'round';
      c.strokeStyle = item.lane % 2 === 0 ? this.colours.lane : this.colours.panel;
      c.strokeText(text, left, y);
      c.fillStyle = item.bad ? this.colours.bad : this.colours.soft;
      c.fillText(text, left, y);
    }
  }

  // What moves with the moment: what is still to come is pale, and the lanes' names tell who holds what.
  drawMoment(c) {
    const x = this.x(this.view.place);
    c.font = FONT;
    c.textBaseline = 'middle';
    if (x < this.cssWidth && this.view.place < this.view.scale.length) {
      c.fillStyle = this.colours.veil;
      const left = Math.max(x + 7, this.gutter);
      c.fillRect(left, AXIS, this.cssWidth - left, this.cssHeight);
    }
    this.drawChosen(c);
    if (x >= this.gutter) {
      c.fillStyle = this.colours.head;
      c.fillRect(x - 0.75, 0, 1.5, this.cssHeight);
      polygon(c, [[x - 5, 0], [x + 5, 0], [x, 8]]);
    }
    this.drawNames(c);
  }

  drawChosen(c) {
    const item = this.view.chosen;
    if (!item) return;
    const x = this.x(this.view.scale.places[item.index]);
    if (x < this.gutter) return;
    c.strokeStyle = this.colours.ink;
    c.lineWidth = 1.5;
    c.beginPath();
    c.arc(x, this.middle(item.lane), 9, 0, 7);
    c.stroke();
  }

  drawNames(c) {
    c.fillStyle = this.colours.panel;
    c.fillRect(0, 0, this.gutter, this.cssHeight);
    const agents = this.states.after(this.view.count).agents;
    this.story.lanes.forEach((name, lane) => {
      if (lane % 2 === 0) {
        c.fillStyle = this.colours.lane;
        c.fillRect(0, this.top(lane), this.gutter, this.laneHeight);
      }
      const held = agents.get(name)?.steps ?? [], y = this.middle(lane);
      c.globalAlpha = this.view.lane === NO_LANE || this.view.lane === lane ? 1 : 0.35;
      c.fillStyle = held.length ? this.colours.claim : this.colours.faint;
      SHAPES.disc(c, 15, y, held.length ? 5 : 3);
      c.fillStyle = this.colours.ink;
      c.font = `600 ${FONT.replace('11.5', '12.5')}`;
      c.fillText(cut(name || 'run', this.gutter - 28, this.letter * 1.12), 26, y);
      c.font = FONT;
      c.fillStyle = this.colours.claim;
      if (held.length) c.fillText(cut(held.join(', '), this.gutter - 30, this.letter), 26, y + 16);
      c.globalAlpha = 1;
    });
    c.fillStyle = this.colours.panel;
    c.fillRect(0, 0, this.gutter, AXIS);
    c.fillStyle = this.colours.rule;
    c.fillRect(this.gutter - 1, 0, 1, this.cssHeight);
  }

  // Pointing

  laneAt(y) {
    const lane = Math.floor((y - AXIS + this.view.scroll) / this.laneHeight);
    return y > AXIS && lane >= 0 && lane < this.story.lanes.length ? lane : NO_LANE;
  }

  // The happening under the pointer: the nearest mark, else a bar.
  at(x, y) {
    const places = this.view.scale.places, items = this.story.happenings;
    const end = Math.min(items.length, firstAfter(places, this.placeAt(x + 10)));
    let best = null, nearest = 11;
    for (let i = Math.max(0, firstAfter(places, this.placeAt(x - 10))); i < end; i++) {
      const away = Math.hypot(this.x(places[i]) - x, (this.middle(items[i].lane) - y) * 0.8);
      if (away < nearest && this.view.shows(items[i])) [best, nearest] = [items[i], away];
    }
    return best ?? this.barAt(x, y);
  }

  barAt(x, y) {
    const lane = this.laneAt(y), level = Math.floor((y - this.middle(lane) - 11) / (BAR + 2)), place = this.placeAt(x);
    if (lane === NO_LANE || level < 0 || x < this.gutter) return null;
    return this.bars.find((bar) => bar.item.lane === lane && bar.level === level && this.view.shows(bar.item)
      && this.view.scale.places[bar.item.index] <= place
      && (bar.until === null || this.view.scale.place(bar.until) >= place))?.item ?? null;
  }
}
