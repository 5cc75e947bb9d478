// What is looked at: the moment, the part of the timeline that is shown, what is left out, what is chosen.

class View {
  constructor(story) {
    this.story = story;
    this.squeeze = true;
    this.scale = new Scale(story, true);
    this.place = 0;
    this.from = 0;
    this.width = this.scale.length;
    this.playing = false;
    this.speed = 1;
    this.hiddenGroups = new Set();
    this.search = '';
    this.lane = NO_LANE;
    this.chosen = null;
    this.scroll = 0;
    this.version = 0;
    this.showAll();
  }

  // Everything that is drawn of the timeline, but for the moment, has to be drawn anew.
  touch() { this.version++; }

  get count() { return this.scale.countAt(this.place); }

  get time() { return this.scale.time(this.place); }

  moveTo(place) { this.place = Math.min(this.scale.length, Math.max(0, place)); }

  moveToTime(time) { this.moveTo(this.scale.place(time)); }

  // To the nth happening, so that it has happened and the next has not.
  moveToCount(count) {
    const index = Math.min(this.story.happenings.length, Math.max(0, count)) - 1;
    this.moveTo(index < 0 ? 0 : this.scale.places[index]);
    this.reveal();
  }

  zoom(factor, around) {
    const share = (around - this.from) / this.width;
    this.width = Math.min(this.scale.length * 1.06, Math.max(this.scale.length / 2e5, 1e-3, this.width * factor));
    this.pan(around - share * this.width - this.from);
  }

  pan(by) {
    const room = this.scale.length * 0.03;
    this.from = Math.min(Math.max(this.from + by, -room), Math.max(-room, this.scale.length + room - this.width));
    this.touch();
  }

  showAll() {
    this.width = this.scale.length * 1.06;
    this.from = -this.scale.length * 0.03;
    this.touch();
  }

  // Bring the moment into sight.
  reveal() {
    if (this.place < this.from || this.place > this.from + this.width * 0.98) {
      this.pan(this.place - this.width * 0.15 - this.from);
    }
  }

  setSqueeze(squeeze) {
    const time = this.time;
    this.squeeze = squeeze;
    this.scale = new Scale(this.story, squeeze);
    this.moveToTime(time);
    this.showAll();
  }

  shows(item) {
    if (this.hiddenGroups.has(item.group)) return false;
    if (this.lane !== NO_LANE && item.lane !== this.lane && item.to !== this.lane && item.to !== EVERY_LANE) return false;
    if (!this.search) return true;
    item.text ??= `${item.title} ${this.story.lanes[item.lane]} ${item.kind}`.toLowerCase();
    return item.text.includes(this.search);
  }
}
