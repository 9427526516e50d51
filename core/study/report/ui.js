/* ui.js - what sections are made of: headings with their two sentences, choices, figures, tables. */
(function(R) {
'use strict';
const el = R.el;

/* A numbered section; returns its body. `how` says how to read it, `not` what it does not show. */
let number = 0;
R.section = (id, title, how, not) => {
    number++;
    const body = el('div', {class: 'body'});
    document.getElementById('report').appendChild(
        el('section', {id, 'aria-labelledby': id + '-title'},
           el('h2', {id: id + '-title'}, el('span', {class: 'number'}, String(number)), title),
           el('div', {class: 'how'}, el('p', {}, how),
              not ? el('p', {class: 'not'}, el('b', {}, 'Not shown: '), not) : null),
           body));
    document.getElementById('contents')
        .appendChild(el('a', {href: '#' + id}, el('span', {class: 'number'}, String(number)), title));
    return body;
};

R.nothing = (text) => el('p', {class: 'nothing'}, text);

R.controls = (parent) => parent.appendChild(el('div', {class: 'controls'}));
/* options: [[value, text]] or [[group, [[value, text]]]] */
R.choice = (parent, label, options, value, changed) => {
    const option = (o) => Array.isArray(o[1]) ? el('optgroup', {label: o[0]}, o[1].map(option)) :
                                                el('option', {value: o[0], selected: o[0] === value}, o[1]);
    const select = el('select', {change: () => changed(select.value)}, options.map(option));
    parent.appendChild(el('label', {}, el('span', {}, label), select));
    return select;
};
R.tick = (parent, label, value, changed) => {
    const box = el('input', {type: 'checkbox', checked: value, change: () => changed(box.checked)});
    parent.appendChild(el('label', {class: 'tick'}, box, el('span', {}, label)));
};
R.packOptions = (first) => {
    const list = R.groups.map((g) => [g.name, g.packs.map((p) => [String(p), R.packs[p].name])]);
    return (first || []).concat(R.groups.length > 1 ? list : list.length ? list[0][1] : []);
};
/* Sections with a choice of pack follow the bar's choice of one pack. */
R.followPack = (select, set) => R.views.unshift(() => {
    const [kind, index] = R.state.packs.split(':');
    if (kind === 'pack' && R.state.packs !== select.followed &&
        Array.from(select.options).some((o) => o.value === index)) {
        select.value = index;
        set(index);
    }
    select.followed = R.state.packs;
});

/* ---- figures ---- */

const KEPT = [
    'fill', 'stroke', 'stroke-width', 'stroke-dasharray', 'stroke-linejoin', 'paint-order', 'display',
    'opacity', 'fill-opacity', 'font-size', 'font-family', 'font-weight', 'text-anchor'
];
/* An SVG by itself: what the style sheet gives it is written into it. */
R.standalone = (svg) => {
    const copy = svg.cloneNode(true), from = [svg].concat(Array.from(svg.querySelectorAll('*')));
    [copy].concat(Array.from(copy.querySelectorAll('*'))).forEach((e, i) => {
        const style = getComputedStyle(from[i]);
        KEPT.forEach((key) => e.style.setProperty(key, style.getPropertyValue(key)));
        ['tabindex', 'class'].forEach((key) => e.removeAttribute(key));
    });
    const hatch = document.getElementById('hatch').cloneNode(true);
    hatch.firstChild.style.stroke = '#999';
    copy.insertBefore(document.createElementNS('http://www.w3.org/2000/svg', 'defs'), copy.firstChild)
        .appendChild(hatch);
    copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
    copy.style.setProperty(
        'background', getComputedStyle(document.body).getPropertyValue('background-color'));
    return new XMLSerializer().serializeToString(copy);
};
R.download = (name, type, text) => {
    const link = el('a', {download: name, href: URL.createObjectURL(new Blob([text], {type}))});
    document.body.appendChild(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
};
R.fileName = (part, ending) =>
    (String(R.study.name || 'study').replace(/[^A-Za-z0-9._-]+/g, '-') || 'study') + '-' + part + '.' +
    ending;

/* A figure that draws itself into (host, width) now and after every choice. */
R.figure = (parent, id, title, draw) => {
    const host = el('div', {class: 'plot'});
    const save =
        el('button', {
            type: 'button',
            class: 'quiet',
            'aria-label': 'Save as SVG: ' + (title || id),
            click: () => Array.from(host.querySelectorAll('svg.figure, svg[role=group]'))
                             .forEach(
                                 (svg, i) => R.download(
                                     R.fileName(id + (i ? '-' + (i + 1) : ''), 'svg'), 'image/svg+xml',
                                     R.standalone(svg)))
        },
           'SVG');
    const head = el('span', {}, title);
    parent.appendChild(el('figure', {id: 'figure-' + id}, el('figcaption', {}, head, save), host));
    const redraw = () => {
        const height = host.offsetHeight;
        host.style.minHeight = height + 'px'; /* so that the page does not jump while it is empty */
        R.clear(host);
        draw(host, Math.max(280, Math.floor(host.clientWidth) || 900), (text) => {
            head.textContent = text;
        });
        host.style.minHeight = '';
        if (!host.firstChild)
            host.appendChild(R.nothing('Nothing here matches the filter.'));
        save.hidden = !host.querySelector('svg');
    };
    R.views.push(redraw);
    return redraw;
};

R.legend = (host, list) => host.appendChild(
    el('ul', {class: 'legend', 'aria-label': 'Methods'}, list.map((m) => el('li', {}, R.methodName(m)))));

/* Axes with quiet grids: ticks is [[place, text]]. */
R.axisX = (g, ticks, y, top, title, width) => {
    const tick = g.append('g')
                     .attr('class', 'axis')
                     .selectAll('g')
                     .data(ticks)
                     .enter()
                     .append('g')
                     .attr('transform', (t) => 'translate(' + t[0] + ',0)');
    tick.append('line').attr({y1: top, y2: y, class: 'grid'});
    tick.append('text').attr({y: y + 15, 'text-anchor': 'middle'}).text((t) => t[1]);
    if (title)
        g.append('text').attr({x: width, y: y + 33, 'text-anchor': 'end', class: 'title'}).text(title);
};
R.axisY = (g, ticks, x, right, title) => {
    const tick = g.append('g')
                     .attr('class', 'axis')
                     .selectAll('g')
                     .data(ticks)
                     .enter()
                     .append('g')
                     .attr('transform', (t) => 'translate(0,' + t[0] + ')');
    tick.append('line').attr({x1: x, x2: right, class: 'grid'});
    tick.append('text').attr({x: x - 7, dy: '.34em', 'text-anchor': 'end'}).text((t) => t[1]);
    if (title)
        g.append('text').attr({x: 0, y: 11, class: 'title'}).text(title);
};
R.ticks = (scale, count, text) => scale.ticks(count).map((v) => [scale(v), text(v)]);
/* Shortens text that would run out of its margin. */
R.fit = (text, characters) =>
    text.length > characters ? text.slice(0, Math.max(1, characters - 1)) + '…' : text;

/* A wide table moves sideways inside its place; the place can be reached by keyboard. */
R.scroll = (label, table) =>
    el('div', {class: 'scroll', tabindex: 0, role: 'region', 'aria-label': label}, table);

/* ---- tables that sort, and show more on request ---- */

const compare = (a, b) => {
    const none = (v) => v === null || v === undefined || v === '' || (typeof v === 'number' && isNaN(v));
    if (none(a) || none(b))
        return none(a) - none(b);
    return typeof a === 'number' && typeof b === 'number' ?
        a - b :
        String(a).localeCompare(String(b), 'en', {numeric: true});
};
/* Rows by key; what is not there stays last either way. */
R.sorted = (rows, key, down) => rows.map((row, i) => [row, key(row), i])
                                    .sort((x, y) => {
                                        const none = (v) => v === null || v === undefined || v === '';
                                        const c = compare(x[1], y[1]);
                                        return (none(x[1]) || none(y[1]) ? c : down ? -c : c) || x[2] - y[2];
                                    })
                                    .map((x) => x[0]);
/* A head that sorts; `hint` is said on hover and on focus. */
R.sortHead = (title, sort, index, redraw, kind, downFirst, hint) => {
    const here = sort.by === index, order = here ? (sort.down ? 'descending' : 'ascending') : null;
    const arrow = el('span', {class: 'arrow', 'aria-hidden': 'true'}, here ? (sort.down ? '▾' : '▴') : '');
    const press = () => {
        sort.down = here ? !sort.down : !!downFirst;
        sort.by = index;
        redraw(index);
    };
    const button = el('button', {type: 'button', class: 'sort', click: press}, title, arrow);
    if (hint)
        R.tip(button, {title, note: hint});
    return el('th', {scope: 'col', 'aria-sort': order, class: kind}, button);
};

/* A long hash: twelve digits on the screen, all of them on paper and on request. */
R.hash = (digits, what) => digits ?
    R.tip(
        el('code', {class: 'hash'}, el('span', {class: 'head'}, String(digits).slice(0, 12)),
           el('span', {class: 'rest'}, String(digits).slice(12))),
        {title: what, note: String(digits)}) :
    null;

/* columns: {title, key(row), show(row) (default: key), number, mono, hint, head: it names the row}
 * rows(): what to show now; page: how many before one asks for the rest */
R.table = (parent, id, caption, columns, rows, page) => {
    const host = parent.appendChild(el('div', {class: 'table', id: 'table-' + id}));
    const sort = {by: -1, down: false};
    let most = page || Infinity;
    const cell = (row) => (c) => {
        const shown = c.show ? c.show(row) : c.key(row),
              nothing = shown === null || shown === undefined || shown === '';
        const kind = c.number ? 'number' : c.mono ? 'mono' : null;
        return el(
            c.head ? 'th' : 'td', {scope: c.head ? 'row' : null, class: kind}, nothing ? R.none : shown);
    };
    const head = (c, i) => R.sortHead(c.title, sort, i, redraw, c.number ? 'number' : null, c.number, c.hint);
    const redraw = (focus) => {
        const all = rows(), list = sort.by < 0 ? all : R.sorted(all, columns[sort.by].key, sort.down);
        R.clear(host);
        if (!all.length)
            return host.appendChild(
                R.nothing('No rows: nothing of this kind is in the data, or nothing matches the filter.'));
        const lines = list.slice(0, most).map((row) => el('tr', {}, columns.map(cell(row))));
        const table =
            el('table', {}, el('caption', {}, caption), el('thead', {}, el('tr', {}, columns.map(head))),
               el('tbody', {}, lines));
        R.rove(table, lines.map((tr) => Array.from(tr.querySelectorAll('.tipped'))));
        host.appendChild(R.scroll(caption, table));
        if (list.length > most)
            host.appendChild(
                el('p', {class: 'more'},
                   'Shown: ' + R.count(most) + ' of ' + R.plural(list.length, 'row') + '. ',
                   el('button', {
                       type: 'button',
                       click: () => {
                           most = Infinity;
                           redraw();
                       }
                   },
                      'Show all')));
        if (focus >= 0)
            host.querySelectorAll('button.sort')[focus].focus();
    };
    R.views.push(() => redraw());
};

/* ---- copying ---- */

R.say = (text) => {
    document.getElementById('said').textContent = text;
};
R.copy = (text, button) => {
    const done = () => {
        button.textContent = 'copied';
        R.say('Copied: ' + text);
        setTimeout(() => {
            button.textContent = 'copy';
        }, 1500);
    };
    const oldWay = () => { /* pages opened from disk may not have the clipboard */
                           const area = el('textarea', {class: 'unseen'});
                           area.value = text;
                           document.body.appendChild(area);
                           area.select();
                           document.execCommand('copy');
                           area.remove();
                           button.focus();
                           done();
    };
    if (navigator.clipboard && window.isSecureContext)
        navigator.clipboard.writeText(text).then(done, oldWay);
    else
        oldWay();
};
})(VitroReport);
