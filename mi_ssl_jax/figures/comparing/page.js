'use strict';
// Switches, sorting and curves. All text goes into the page as text, never as markup.
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const SVG = 'http://www.w3.org/2000/svg';
  const WIDTH = 480, HEIGHT = 270, LEFT = 58, RIGHT = 10, TOP = 8, BOTTOM = 34;
  const COLOURS = 8, DASHES = ['', '7 3', '2 3', '9 3 2 3'];
  const FEW = 12; // runs up to which bands are drawn at first

  const table = one('#runs'), rows = [];
  for (const row of all('tbody tr', table)) rows[+row.dataset.run] = row;
  const switches = rows.map((row) => one('.show', row));
  const shown = (number) => switches[number].checked && !rows[number].hidden;

  function element(name, attributes, ...children) {
    const made = document.createElement(name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    made.append(...children);
    return made;
  }
  function shape(name, attributes, text) {
    const made = document.createElementNS(SVG, name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  // What each run is drawn in ----------------------------------------------------------------
  let groups = []; // {label, runs}: each has a colour and a dash pattern of its own
  let groupOf = [];
  const pen = (group) => ({
    stroke: `var(--c${group % COLOURS})`,
    'stroke-dasharray': DASHES[Math.floor(group / COLOURS) % DASHES.length],
  });
  function group() {
    const column = one('#colour').value;
    const labels = rows.map((row, number) =>
      column === '' ? data.runs[number].name : row.cells[1 + +column].textContent);
    const found = new Map();
    labels.forEach((label, number) => {
      const key = column === '' ? number : label;
      if (!found.has(key)) found.set(key, { label, runs: [] });
      found.get(key).runs.push(number);
    });
    groups = [...found.values()];
    groups.forEach((own, place) => own.runs.forEach((number) => { groupOf[number] = place; }));
    rows.forEach((row, number) => {
      for (const [key, value] of Object.entries(pen(groupOf[number]))) {
        one('.swatch path', row).setAttribute(key, value);
      }
    });
    const legend = one('#legend');
    legend.replaceChildren(...groups.map((own, place) => {
      const line = shape('svg', { class: 'swatch', viewBox: '0 0 26 10', 'aria-hidden': 'true' });
      line.append(shape('path', { d: 'M0 5h26', ...pen(place) }));
      const button = element('button', { type: 'button' }, line, own.label);
      button.addEventListener('click', () => {
        const on = own.runs.some((number) => switches[number].checked);
        own.runs.forEach((number) => { switches[number].checked = !on; });
        update();
      });
      return button;
    }));
  }

  // Axes -------------------------------------------------------------------------------------
  function between(x, xs, ys) { // linear in between, and beyond the last in its proportion
    let right = 1;
    while (right < xs.length - 1 && xs[right] < x) right += 1;
    if (xs.length < 2 || xs[right] === xs[right - 1]) return ys[ys.length - 1];
    const share = (x - xs[right - 1]) / (xs[right] - xs[right - 1]);
    return ys[right - 1] + share * (ys[right] - ys[right - 1]);
  }
  function abscissae(run, epochs, axis) {
    if (axis === 'steps') return run.steps === null ? null : epochs.map((x) => x * run.steps);
    if (axis === 'clock') {
      return run.clock === null ? null : epochs.map((x) => between(x, ...run.clock));
    }
    if (axis === 'share') {
      const last = Math.max(...run.epochs.map((own) => own[own.length - 1])) || 1;
      return epochs.map((x) => x / last);
    }
    return epochs;
  }
  function unit(axis, high) { // [name, how much of the axis's own unit one of it is]
    if (axis !== 'clock') return [axis === 'share' ? 'share of the run' : axis, 1];
    if (high > 7200) return ['wall time (h)', 3600];
    return high > 180 ? ['wall time (min)', 60] : ['wall time (s)', 1];
  }
  function ticks(low, high, most) {
    const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
    const found = [];
    for (let n = Math.ceil(low / step - 1e-9); n * step <= high + 1e-9 * step; n += 1) {
      found.push(n * step);
    }
    return found;
  }
  function number(value) {
    const size = Math.abs(value);
    if (size !== 0 && (size >= 1e6 || size < 1e-4)) return value.toExponential(2);
    return String(+value.toPrecision(4)).replace('-', '−');
  }

  // One panel --------------------------------------------------------------------------------
  class Panel {
    constructor(own) {
      this.own = own;
      this.curves = [];
      this.place = { curve: 0, point: -1 };
      this.svg = shape('svg', {
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', tabindex: '0',
      });
      this.output = element('output', { 'aria-live': 'polite' });
      const title = element('h3', {}, own.title);
      if (own.unit) title.append(element('span', {}, ` (${own.unit})`));
      this.node = element('div', { class: 'panel' }, title, this.svg, this.output);
      this.svg.addEventListener('pointermove', (event) => this.point(event));
      this.svg.addEventListener('pointerdown', (event) => this.point(event));
      this.svg.addEventListener('pointerleave', () => this.mark(null));
      this.svg.addEventListener('keydown', (event) => this.key(event));
    }

    read() { // the curves that are on, in the units of the axis that is chosen
      const axis = one('#axis').value;
      this.curves = [];
      data.runs.forEach((run, place) => {
        if (!shown(place)) return;
        (run.curves[this.own.key] || []).forEach(([member, epochs, means, sd], rank) => {
          const xs = abscissae(run, run.epochs[epochs], axis);
          if (xs !== null) this.curves.push({ place, run, member, rank, xs, means, sd });
        });
      });
      return axis;
    }

    draw() {
      const axis = this.read(), bands = one('#bands').checked;
      this.svg.replaceChildren();
      this.output.textContent = '';
      this.place.point = -1;
      const name = `${this.own.title}: ${this.curves.length} curves`;
      this.svg.setAttribute('aria-label', name);
      if (!this.curves.length) {
        const what = axis === 'clock' ? 'its time' : 'it';
        const words = `no run that is on has ${what}`;
        this.svg.append(shape('text', { x: LEFT, y: HEIGHT / 2 }, words));
        return;
      }
      let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
      for (const { xs, means, sd } of this.curves) {
        xs.forEach((x, n) => {
          const around = bands && sd ? sd[n] : 0;
          left = Math.min(left, x); right = Math.max(right, x);
          low = Math.min(low, means[n] - around); high = Math.max(high, means[n] + around);
        });
      }
      if (right === left) right = left + 1;
      if (high === low) { high += Math.abs(high) / 10 || 1; low -= Math.abs(low) / 10 || 1; }
      const room = (high - low) * 0.04;
      low -= room; high += room;
      this.x = (x) => LEFT + (x - left) / (right - left) * (WIDTH - LEFT - RIGHT);
      this.y = (y) => HEIGHT - BOTTOM - (y - low) / (high - low) * (HEIGHT - TOP - BOTTOM);
      this.axes(left, right, low, high, axis);
      for (const curve of this.curves) if (bands && curve.sd) this.band(curve);
      for (const curve of this.curves) this.line(curve);
      this.marker = shape('circle', { r: 5, class: 'marker', visibility: 'hidden' });
      this.svg.append(this.marker);
    }

    axes(left, right, low, high, axis) {
      const [name, of] = unit(axis, right);
      for (const tick of ticks(left / of, right / of, 6)) {
        const x = this.x(tick * of);
        this.svg.append(
          shape('text', { x, y: HEIGHT - BOTTOM + 15, 'text-anchor': 'middle' }, number(tick)));
      }
      for (const tick of ticks(low, high, 6)) {
        const y = this.y(tick);
        this.svg.append(
          shape('path', { class: 'axis', d: `M${LEFT} ${y}H${WIDTH - RIGHT}` }),
          shape('text', { x: LEFT - 6, y: y + 4, 'text-anchor': 'end' }, number(tick)));
      }
      const middle = (LEFT + WIDTH - RIGHT) / 2;
      this.svg.append(
        shape('text', { x: middle, y: HEIGHT - 4, 'text-anchor': 'middle' }, name));
    }

    line(curve) {
      const points = curve.xs.map((x, n) =>
        `${this.x(x).toFixed(1)} ${this.y(curve.means[n]).toFixed(1)}`);
      const kind = curve.rank ? 'curve second' : 'curve', style = pen(groupOf[curve.place]);
      const d = points.length > 1 ? `M${points.join('L')}` : `M${points[0]}m-3 0h6`;
      this.svg.append(shape('path', { class: kind, d, ...style }));
    }

    band({ place, xs, means, sd }) {
      const edge = (sign) => xs.map((x, n) =>
        `${this.x(x).toFixed(1)} ${this.y(means[n] + sign * sd[n]).toFixed(1)}`);
      const d = `M${edge(1).join('L')}L${edge(-1).reverse().join('L')}Z`;
      this.svg.append(shape('path', { class: 'band', d, fill: pen(groupOf[place]).stroke }));
    }

    point(event) { // the nearest point of any curve
      const box = this.svg.getBoundingClientRect(), scale = WIDTH / box.width;
      const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
      let best = null, least = 900;
      this.curves.forEach(({ xs, means }, curve) => xs.forEach((own, point) => {
        const far = (this.x(own) - x) ** 2 + (this.y(means[point]) - y) ** 2;
        if (far < least) { least = far; best = { curve, point }; }
      }));
      this.mark(best);
    }

    key(event) {
      const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
      if (!(event.key in moves) || !this.curves.length) return;
      event.preventDefault();
      const [across, along] = moves[event.key], count = this.curves.length;
      const curve = this.place.point < 0 ? 0 : (this.place.curve + across + count) % count;
      const last = this.curves[curve].xs.length - 1;
      const point = this.place.point < 0 ? last : this.place.point + along;
      this.mark({ curve, point: Math.min(Math.max(point, 0), last) });
    }

    mark(place) {
      if (!this.marker) return;
      this.marker.setAttribute('visibility', place ? 'visible' : 'hidden');
      if (!place) { this.output.textContent = ''; return; }
      this.place = place;
      const { run, member, xs, means, sd, place: own } = this.curves[place.curve], n = place.point;
      this.marker.setAttribute('cx', this.x(xs[n]));
      this.marker.setAttribute('cy', this.y(means[n]));
      this.marker.setAttribute('stroke', pen(groupOf[own]).stroke);
      const [name, of] = unit(one('#axis').value, xs[xs.length - 1]);
      const around = sd ? ` ± ${number(sd[n])}` : '';
      this.output.textContent =
        `${run.name}${member ? `, ${member}` : ''}: ${number(means[n])}${around}`
        + ` at ${number(xs[n] / of)} ${name}`;
    }
  }

  const panels = data.panels.map((own) => new Panel(own));
  for (const panel of panels) one(panel.own.main ? '#panels' : '#more').append(panel.node);
  const others = one('#others');
  others.hidden = panels.every((panel) => panel.own.main);
  if (data.thinned) {
    one('#thinned').textContent = ` Long curves are drawn with ${data.thinned} of their points.`;
  }
  const drawn = () => panels.filter((panel) => panel.own.main || others.open);

  // All that follows a switch ------------------------------------------------------------------
  let due = false;
  function update() {
    let on = 0;
    rows.forEach((row, number) => {
      row.classList.toggle('off', !switches[number].checked);
      on += shown(number);
    });
    one('#count').textContent = `${on} of ${rows.length} on`;
    const kind = one('#picture')?.value;
    for (const node of all('[data-of], [data-kind]')) {
      const { of, kind: own } = node.dataset;
      node.hidden = (of !== undefined && !shown(+of)) || (own !== undefined && own !== kind);
    }
    all('#legend button').forEach((button, place) => {
      button.setAttribute('aria-pressed', groups[place].runs.some(shown));
    });
    if (due) return;
    due = true;
    requestAnimationFrame(() => { due = false; drawn().forEach((panel) => panel.draw()); });
  }

  function set(on) {
    switches.forEach((own, number) => { if (!rows[number].hidden) own.checked = on; });
    update();
  }
  const texts = rows.map((row) => row.textContent.toLowerCase());
  one('#filter').addEventListener('input', (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach((row, number) => {
      row.hidden = !words.every((word) => texts[number].includes(word));
    });
    update();
  });
  one('#all').addEventListener('click', () => set(true));
  one('#none').addEventListener('click', () => set(false));
  switches.forEach((own) => own.addEventListener('change', update));
  one('#colour').addEventListener('change', () => { group(); update(); });
  for (const name of ['#axis', '#bands', '#picture']) one(name)?.addEventListener('change', update);
  others.addEventListener('toggle', update);
  for (const box of all('[data-columns]')) {
    box.addEventListener('change', () => {
      for (const cell of all(`.of-${box.dataset.columns}`, table)) cell.hidden = !box.checked;
    });
  }
  for (const button of all('.zoom')) {
    button.addEventListener('click', () => {
      const large = button.closest('figure').classList.toggle('large');
      button.setAttribute('aria-expanded', large);
    });
  }

  // Sorting: numbers as numbers, what is missing last ------------------------------------------
  const heads = all('.sort', table).map((button) => button.closest('th'));
  heads.forEach((head, column) => {
    one('.sort', head).addEventListener('click', () => {
      const down = head.getAttribute('aria-sort') === 'ascending';
      heads.forEach((other) => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      const value = (row) => row.cells[column].dataset.value;
      const order = (a, b) => (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b);
      const sorted = [...rows].sort((one_, other) => {
        const [a, b] = [value(one_), value(other)];
        if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
        return down ? order(b, a) : order(a, b);
      });
      one('tbody', table).append(...sorted);
    });
  });

  one('#bands').checked = rows.length <= FEW;
  group();
  update();
})();
