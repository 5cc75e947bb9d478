// The shapes of marks and the colours of the theme that is in force.

const SHAPES = {
  disc(c, x, y, r) { c.beginPath(); c.arc(x, y, r, 0, 7); c.fill(); },
  ring(c, x, y, r) { c.beginPath(); c.arc(x, y, r - 1, 0, 7); c.lineWidth = 1.6; c.stroke(); },
  square(c, x, y, r) { c.fillRect(x - r * 0.9, y - r * 0.9, r * 1.8, r * 1.8); },
  diamond(c, x, y, r) { polygon(c, [[x, y - r * 1.2], [x + r * 1.2, y], [x, y + r * 1.2], [x - r * 1.2, y]]); },
  triangle(c, x, y, r) { polygon(c, [[x, y - r * 1.1], [x + r * 1.15, y + r * 0.9], [x - r * 1.15, y + r * 0.9]]); },
  cross(c, x, y, r) { strokes(c, [[x - r, y - r, x + r, y + r], [x + r, y - r, x - r, y + r]]); },
  check(c, x, y, r) {
    c.beginPath(); c.arc(x, y, r * 1.15, 0, 7); c.fill();
    if (r < 4) return;
    const colour = c.strokeStyle;
    c.strokeStyle = c.background;
    strokes(c, [[x - r * 0.5, y, x - r * 0.1, y + r * 0.42], [x - r * 0.1, y + r * 0.42, x + r * 0.55, y - r * 0.4]], 1.6);
    c.strokeStyle = colour;
  },
};

function polygon(c, points) {
  c.beginPath();
  points.forEach(([x, y], i) => (i ? c.lineTo(x, y) : c.moveTo(x, y)));
  c.closePath();
  c.fill();
}

function strokes(c, lines, width = 2) {
  c.lineWidth = width;
  c.beginPath();
  for (const [x1, y1, x2, y2] of lines) { c.moveTo(x1, y1); c.lineTo(x2, y2); }
  c.stroke();
}

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const names = ['bg', 'panel', 'ink', 'soft', 'faint', 'rule', 'lane', 'accent', 'head', 'veil', 'bad', 'claim', 'span'];
  return {
    ...Object.fromEntries(names.map((name) => [name, colour(`--${name}`)])),
    groups: GROUPS.map((group) => colour(group.colour)),
  };
}

// Sizes of elements, known without asking for the layout in every frame.
const sizes = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) target.size = contentRect;
});

// A canvas that is as sharp as the screen. Returns whether its size changed.
function fitCanvas(canvas) {
  if (!canvas.size) {
    canvas.size = canvas.getBoundingClientRect();
    sizes.observe(canvas);
  }
  const ratio = window.devicePixelRatio || 1;
  const width = Math.round(canvas.size.width * ratio), height = Math.round(canvas.size.height * ratio);
  if (canvas.width === width && canvas.height === height) return false;
  canvas.width = width;
  canvas.height = height;
  return true;
}

// As much of a text as has room.
function cut(text, room, perLetter) {
  const letters = Math.floor(room / perLetter);
  return text.length <= letters ? text : letters < 4 ? '' : `${text.slice(0, letters - 1)}\u2026`;
}
