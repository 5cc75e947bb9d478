// All of the story as one strip: how much happened when, what went wrong, which part is shown; and the scrubber.

class Overview {
  constructor(element, canvas, story, view) {
    Object.assign(this, { element, canvas, story, view });
    this.screen = canvas.getContext('2d');
    this.layer = document.createElement('canvas');
    this.drawn = '';
    this.takeTheme();
  }

  takeTheme() { this.colours = readColours(); this.drawn = ''; }

  placeAt(x) { return (x - 10) / (this.cssWidth - 20) * this.view.scale.length; }

  x(place) { return 10 + place / this.view.scale.length * (this.cssWidth - 20); }

  draw() {
    const resized = fitCanvas(this.canvas), ratio = window.devicePixelRatio || 1;
    this.cssWidth = this.canvas.width / ratio;
    this.cssHeight = this.canvas.height / ratio;
    const wanted = [this.view.squeeze, this.view.search, this.view.lane, [...this.view.hiddenGroups]].join();
    if (resized || this.drawn !== wanted) this.drawLayer(ratio);
    this.drawn = wanted;
    const c = this.screen;
    c.setTransform(1, 0, 0, 1, 0, 0);
    c.drawImage(this.layer, 0, 0);
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.drawView(c);
  }

  drawLayer(ratio) {
    this.layer.width = this.canvas.width;
    this.layer.height = this.canvas.height;
    const c = this.layer.getContext('2d', { alpha: false });
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.fillStyle = this.colours.bg;
    c.fillRect(0, 0, this.cssWidth, this.cssHeight);
    const columns = Math.max(1, Math.floor((this.cssWidth - 20) / 3));
    const all = new Float64Array(columns), bad = new Float64Array(columns);
    this.story.happenings.forEach((item, i) => {
      if (!this.view.shows(item)) return;
      const column = Math.min(columns - 1, Math.floor(this.view.scale.places[i] / this.view.scale.length * columns));
      all[column]++;
      if (item.bad) bad[column]++;
    });
    const most = Math.log1p(all.reduce((max, count) => Math.max(max, count), 1)), room = this.cssHeight - 16;
    for (let i = 0; i < columns; i++) {
      const height = (count) => Math.log1p(count) / most * room;
      c.fillStyle = this.colours.faint;
      c.fillRect(10 + i * 3, this.cssHeight - 6 - height(all[i]), 2, height(all[i]));
      c.fillStyle = this.colours.bad;
      c.fillRect(10 + i * 3, this.cssHeight - 6 - height(bad[i]), 2, height(bad[i]));
    }
  }

  drawView(c) {
    const left = this.x(Math.max(0, this.view.from));
    const right = this.x(Math.min(this.view.scale.length, this.view.from + this.view.width));
    if (right - left < this.cssWidth - 22) {
      c.strokeStyle = this.colours.accent;
      c.lineWidth = 1.5;
      c.strokeRect(left, 3, Math.max(3, right - left), this.cssHeight - 6);
    }
    const x = this.x(this.view.place);
    c.fillStyle = this.colours.head;
    c.fillRect(x - 1, 0, 2, this.cssHeight);
    SHAPES.disc(c, x, 5, 5);
  }

  tell() {
    const { view, story, element } = this;
    element.setAttribute('aria-valuemax', String(story.happenings.length));
    element.setAttribute('aria-valuenow', String(view.count));
    element.setAttribute('aria-valuetext', `${showTime(story, view.time)}, ${view.count} of ${story.happenings.length}`);
  }
}
