/* base.js - what every part of the report stands on: the data, numbers as text, elements, marks that can be
 * reached by mouse and keyboard, colours. Text enters the page as text nodes only, never as markup. */
'use strict';

const VitroReport = (function() {
    const data = JSON.parse(document.getElementById('analysis').textContent);
    const methods = data.methods || [], packs = data.packs || [], study = data.study || {};
    const accuracy = data.accuracy || {};

    const R = {
        data,
        methods,
        packs,
        study,
        state: {text: '', packs: 'all', theme: 'auto'},  // what the bar at the top chose
        views: [],                                       // functions that draw again after a choice
        seeds: study.seeds || [],
        level: Math.round(100 * (study.level || 0.95)) + '\u00a0%',
        alpha: +(1 - (study.level || 0.95)).toFixed(6), /* below it, an adjusted p counts as a difference */
    };

    /* ---- the data ---- */

    function at(matrix, m, p) {
        return matrix && matrix[m] && matrix[m][p] != null ? matrix[m][p] : null;
    }
    R.at = at;
    R.is = (v) => typeof v === 'number' && isFinite(v);
    R.cell = (m, p) =>
        at(accuracy.cells, m, p) || {state: 'missing', reason: 'the document has no such cell', seeds: []};
    R.overall = accuracy.overall || {};
    R.hasAccuracy = methods.some((_, m) => packs.some((_, p) => R.is(R.cell(m, p).mean)));
    R.groups = (accuracy.groups && accuracy.groups.length ? accuracy.groups : groupsOfPacks())
                   .filter((g) => g.packs.length);
    R.withHead = (m) => R.is(methods[m].parameters) && R.is(methods[m].parameters_head) ?
        methods[m].parameters + methods[m].parameters_head :
        null;
    R.isBest = (m, p) =>
        ((p < 0 ? R.overall.best : (accuracy.best || [])[p]) || []).indexOf(m) >= 0; /* p < 0: overall */
    R.runs = (m, p) => (R.cell(m, p).seeds || []).filter(R.is).length;

    function groupsOfPacks() {
        const groups = [];
        packs.forEach((pack, p) => {
            let g = groups.find((x) => x.name === pack.group);
            if (!g)
                groups.push(g = {name: pack.group || 'given', packs: [], means: []});
            g.packs.push(p);
        });
        return groups;
    }

    R.range = (n) => Array.from({length: n}, (_, i) => i);
    R.mean = (values) => {
        const known = values.filter(R.is);
        return known.length ? d3.sum(known) / known.length : null;
    };
    /* the filter's methods and packs, as indices */
    R.shownMethods = () => {
        const words = R.state.text.toLowerCase().split(/[\s,]+/).filter(Boolean);
        return R.range(methods.length)
            .filter(
                (m) => !words.length ||
                    words.some(
                        (w) => (methods[m].name + ' ' + methods[m].text).toLowerCase().indexOf(w) >= 0));
    };
    R.shownPacks = () => {
        const [kind, index] = R.state.packs.split(':');
        return kind === 'group' ? R.groups[+index].packs : kind === 'pack' ? [+index] : R.range(packs.length);
    };
    /* best first by overall mean, or by the mean of what is there; methods without any accuracy last */
    const skill = methods.map(
        (_, m) => R.is((R.overall.mean || [])[m]) ?
            R.overall.mean[m] :
            (R.mean(packs.map((_, p) => R.cell(m, p).mean)) || -1) - 1);
    R.ordered = (list) => list.slice().sort((a, b) => skill[b] - skill[a]);

    /* ---- numbers as text ---- */

    const minus = (text) => text.replace(/^-/, '−');
    const grouped = d3.format(',');
    R.none = '–';
    R.fixed = (v, digits) => R.is(v) ? minus(v.toFixed(digits)) : R.none;
    R.percent = (v, digits) => R.fixed(R.is(v) ? 100 * v : v, digits === undefined ? 1 : digits);
    R.points = (v) => R.is(v) ? (v > 0 ? '+' : '') + R.percent(v) : R.none;
    R.interval = (low, high, digits) =>
        R.is(low) && R.is(high) ? '[' + R.percent(low, digits) + ', ' + R.percent(high, digits) + ']' : '';
    R.count = (v) => R.is(v) ? minus(grouped(Math.round(v))) : R.none;
    R.significant = (v, digits) => R.is(v) ? minus(String(+v.toPrecision(digits || 3))) : R.none;
    R.p = (v) => !R.is(v) ? R.none : v < 0.001 ? '< 0.001' : v.toFixed(3);
    /* a number with its unit on one line; units: [[from where, divisor, unit]], largest first */
    const unit = (units) => (v) => {
        const u = R.is(v) ? units.find((x) => Math.abs(v) >= x[0]) || units[units.length - 1] : null;
        return u ? R.significant(v / u[1]) + (u[2] ? '\u00a0' + u[2] : '') : R.none;
    };
    R.short = unit([[1e9, 1e9, 'G'], [1e6, 1e6, 'M'], [1e3, 1e3, 'k'], [0, 1, '']]);
    R.bytes = unit([[1e9, 1e9, 'GB'], [1e6, 1e6, 'MB'], [1e3, 1e3, 'kB'], [0, 1, 'B']]);
    R.seconds = unit([[7200, 3600, 'h'], [120, 60, 'min'], [0, 1, 's']]);
    R.plural = (n, word) => grouped(n) + ' ' + word + (n === 1 ? '' : 's');
    /* a method or pack that a row names, by index or by name; -1 when there is none */
    R.find = (list, what) => typeof what === 'number' ? what : list.findIndex((x) => x.name === what);
    R.sentence = (text) => /[.!?]$/.test(text) ? text : text + '.';
    R.groupName = (name) => name === 'all' ? 'all packs' : name;

    /* ---- elements ---- */

    R.el = (tag, attributes, ...children) => {
        const e = document.createElement(tag);
        Object.keys(attributes || {}).forEach((key) => {
            const value = attributes[key];
            if (typeof value === 'function')
                e.addEventListener(key, value);
            else if (value !== null && value !== undefined && value !== false)
                e.setAttribute(key, value === true ? '' : value);
        });
        R.add(e, children);
        return e;
    };
    R.add = (parent, children) => {
        children.forEach(
            (child) => Array.isArray(child) ?
                R.add(parent, child) :
                child === null || child === undefined || child === false ?
                0 :
                parent.appendChild(child.nodeType ? child : document.createTextNode(child)));
        return parent;
    };
    R.clear = (e) => {
        while (e.firstChild) e.removeChild(e.firstChild);
        return e;
    };
    /* An <svg> as a D3 selection; its marks speak for themselves, so it is a group with a name. */
    R.svg = (host, width, height, label) => d3.select(host).append('svg').attr(
        {viewBox: '0 0 ' + width + ' ' + height, width, height, role: 'group', 'aria-label': label});

    /* ---- what a mark says: {title, rows: [[name, value]], note}, shown on hover and on focus ---- */

    const tip = document.getElementById('tip');
    let shownFor = null;

    R.words = (spec) => spec.title + (spec.rows || []).map((r) => '; ' + r[0] + ' ' + r[1]).join('') +
        (spec.note ? '. ' + spec.note : '');
    /* `spoken`: the mark is a drawing and needs a name; a table's cell has its text already. */
    R.tip = (element, spec, spoken) => {
        element.tipSpec = spec;
        element.classList.add('tipped');
        if (spoken) {
            element.setAttribute('role', 'img');
            element.setAttribute('aria-label', R.words(spec));
        }
        return element;
    };
    function show(element, x, y) {
        const spec = element.tipSpec;
        R.clear(tip);
        R.add(tip, [
            R.el('strong', {}, spec.title),
            spec.rows && spec.rows.length ?
                R.el(
                    'table', {role: 'presentation'},
                    spec.rows.map((r) => R.el('tr', {}, R.el('th', {}, r[0]), R.el('td', {}, r[1])))) :
                null,
            spec.note ? R.el('p', {}, spec.note) : null
        ]);
        tip.hidden = false;
        const box = tip.getBoundingClientRect(), wide = document.documentElement.clientWidth,
              high = document.documentElement.clientHeight;
        tip.style.left = Math.max(4, Math.min(x + 14, wide - box.width - 4)) + 'px';
        tip.style.top = (y + 16 + box.height < high ? y + 16 : Math.max(4, y - box.height - 10)) + 'px';
        shownFor = element;
        if (!element.hasAttribute('aria-label'))
            element.setAttribute('aria-describedby', 'tip');
    }
    R.hideTip = () => {
        tip.hidden = true;
        if (shownFor)
            shownFor.removeAttribute('aria-describedby');
        shownFor = null;
    };
    const tipped = (target) => target && target.closest ? target.closest('.tipped') : null;
    document.addEventListener('mouseover', (e) => {
        const element = tipped(e.target);
        if (element)
            show(element, e.clientX, e.clientY);
        else if (shownFor && shownFor !== document.activeElement)
            R.hideTip();
    });
    document.addEventListener('mousemove', (e) => {
        if (shownFor && tipped(e.target) === shownFor)
            show(shownFor, e.clientX, e.clientY);
    });
    document.addEventListener('focusin', (e) => {
        const element = tipped(e.target);
        if (!element)
            return R.hideTip();
        const box = element.getBoundingClientRect();
        show(element, box.left + box.width / 2, box.top + Math.min(box.height, 40));
    });
    document.addEventListener('focusout', R.hideTip);
    document.addEventListener('keydown', (e) => {
        if (e.key === 'Escape')
            R.hideTip();
    });
    window.addEventListener('scroll', () => {
        if (shownFor && shownFor !== document.activeElement)
            R.hideTip();
    }, {passive: true});

    /* One stop of the tabulator key for a whole grid of marks; the arrow keys walk inside.
     * `rows` is an array of arrays of elements or nulls. */
    R.rove = (container, rows) => {
        let current = null;
        const flat = [];
        rows.forEach((row, r) => row.forEach((element, c) => {
            if (!element)
                return;
            element.setAttribute('tabindex', flat.length ? -1 : 0);
            element.rovePlace = [r, c];
            flat.push(element);
        }));
        current = flat[0] || null;
        const step = (r, c, dr, dc) => {
            for (r += dr, c += dc; r >= 0 && r < rows.length && c >= 0 && c < d3.max(rows, (x) => x.length);
                 r += dr, c += dc)
                if (rows[r][c])
                    return rows[r][c];
            return null;
        };
        const go = (element) => {
            if (!element)
                return;
            current.setAttribute('tabindex', -1);
            element.setAttribute('tabindex', 0);
            current = element;
            element.focus();
        };
        container.addEventListener('keydown', (e) => {
            const place = e.target.rovePlace,
                  move = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}[e.key];
            if (!place || flat.indexOf(e.target) < 0 || (!move && e.key !== 'Home' && e.key !== 'End'))
                return;
            e.preventDefault();
            const row = rows[place[0]].filter(Boolean);
            go(move                 ? step(place[0], place[1], move[0], move[1]) :
                   e.key === 'Home' ? row[0] :
                                      row[row.length - 1]);
        });
        container.addEventListener('focusin', (e) => {
            if (!current || !e.target.rovePlace || flat.indexOf(e.target) < 0)
                return;
            current.setAttribute('tabindex', -1);
            e.target.setAttribute('tabindex', 0);
            current = e.target;
        });
    };

    /* ---- colours ---- */

    /* Okabe and Ito's palette without its yellow, times six shapes: 42 methods differ in colour or shape. */
    const COLOURS = 7, SHAPES = ['circle', 'square', 'triangle-up', 'diamond', 'cross', 'triangle-down'];
    R.colour = (m) => 'var(--m' + (m % COLOURS) + ')';
    R.shape = (m) => SHAPES[m % SHAPES.length];
    R.symbol = (m, area) => d3.svg.symbol().type(R.shape(m)).size(area || 64)();
    R.marker = (m) => {
        const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
        d3.select(svg)
            .attr({viewBox: '-7 -7 14 14', width: 12, height: 12, class: 'marker', 'aria-hidden': 'true'})
            .append('path')
            .attr({d: R.symbol(m, 70), class: 'mark'})
            .style('fill', R.colour(m));
        return svg;
    };
    R.methodName = (m) => R.el('span', {class: 'method'}, R.marker(m), methods[m].name);

    /* Sequential: cividis (Nunez et al. 2018), least what is nearest to the paper; on white its yellow fades.
     * Diverging: blue and vermilion around the paper. */
    const CIVIDIS = [
        '#00224e', '#123570', '#3b496c', '#575d6d', '#707173', '#8a8678', '#a59c74', '#c3b369', '#e1cc55',
        '#fee838'
    ];
    const ON_WHITE = [
        '#f5f1dc', '#e3dbb0', '#c4b98c', '#a59c74', '#8a8678', '#66686f', '#4a5570', '#2c4170', '#123570',
        '#00224e'
    ];
    R.dark = () => document.documentElement.getAttribute('data-theme') === 'dark';
    R.sequential = (low, high) => {
        const stops = R.dark() ? CIVIDIS : ON_WHITE;
        const scale = d3.scale.linear()
                          .domain(stops.map((_, i) => i / (stops.length - 1)))
                          .range(stops)
                          .interpolate(d3.interpolateLab)
                          .clamp(true);
        return (v) => scale(high > low ? (v - low) / (high - low) : 1);
    };
    R.diverging = (most) => {
        const scale =
            d3.scale.linear()
                .domain([-1, 0, 1])
                .range(R.dark() ? ['#e8743b', '#23272b', '#4aa8e0'] : ['#D55E00', '#f7f6f2', '#0072B2'])
                .interpolate(d3.interpolateLab)
                .clamp(true);
        return (v) => scale(most > 0 ? v / most : 0);
    };
    /* black or white, whichever reads better on a colour */
    R.inkOn = (colour) => {
        const c = d3.rgb(colour),
              part = (v) => v / 255 <= 0.03928 ? v / 255 / 12.92 : Math.pow((v / 255 + 0.055) / 1.055, 2.4);
        return 0.2126 * part(c.r) + 0.7152 * part(c.g) + 0.0722 * part(c.b) > 0.18 ? '#111' : '#fff';
    };

    return R;
})();
