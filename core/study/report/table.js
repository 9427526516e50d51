/* table.js - accuracy of every method on every pack. */
(function(R) {
'use strict';
const el = R.el;

const state = {
    sort: {by: 'overall', down: true},
    intervals: true
};

function cellTip(m, p) {
    const c = R.cell(m, p), rows = [];
    if (R.is(c.mean)) {
        rows.push(
            ['accuracy', R.percent(c.mean, 2) + '\u00a0%'],
            [R.level + ' interval', R.interval(c.low, c.high, 2) + '\u00a0%']);
        rows.push(['deviation over seeds', R.points(c.deviation).replace('+', '') + '\u00a0points']);
    }
    if (R.runs(m, p))
        rows.push(['seeds', c.seeds.map((s) => R.percent(s)).join(' · ')]);
    if (c.chosen)
        rows.push(
            ['chosen', c.chosen],
            ['learning rate, decay', R.significant(c.lr) + ', ' + R.significant(c.decay)],
            ['on val', R.percent(c.val) + '\u00a0%']);
    if (c.ties)
        rows.push(['tied on val', R.plural(c.ties, 'other trial')]);
    const notes = [
        R.isBest(m, p) ? 'Not distinguishable from the best here.' : '',
        c.edges ? 'Edge of the search: ' + c.edges + '.' : '', c.reason ? c.state + ': ' + c.reason + '.' : ''
    ];
    return {title: R.methods[m].name + ' on ' + R.packs[p].name, rows, note: notes.filter(Boolean).join(' ')};
}

function packCell(m, p) {
    const c = R.cell(m, p), n = R.runs(m, p);
    const td = R.is(c.mean) ?
        el('td', {class: 'number' + (R.isBest(m, p) ? ' best' : '')},
           el('span', {class: 'value'}, R.percent(c.mean)),
           n < R.seeds.length ? el('sup', {class: 'fewer', title: 'seeds there'}, 'n=' + n) : null,
           state.intervals ? el('span', {class: 'interval'}, R.interval(c.low, c.high)) : null,
           R.isBest(m, p) ? el('span', {class: 'unseen'}, ' not distinguishable from the best') : null) :
        el('td', {class: 'number missing'}, el('span', {class: 'state'}, c.state || 'missing'),
           el('span', {class: 'unseen'}, ' ' + (c.reason || '')));
    return R.tip(td, cellTip(m, p));
}

function meanCell(value, m, low, high, best, what) {
    if (!R.is(value))
        return R.tip(el('td', {class: 'number missing mean'}, el('span', {class: 'state'}, 'no mean')), {
            title: R.methods[m].name + ', ' + what,
            note: 'A pack is missing; a mean over fewer packs than other rows have would not compare.'
        });
    return R.tip(
        el('td', {class: 'number mean' + (best ? ' best' : '')},
           el('span', {class: 'value'}, R.percent(value)),
           state.intervals && R.is(low) ? el('span', {class: 'interval'}, R.interval(low, high)) : null,
           best ? el('span', {class: 'unseen'}, ' not distinguishable from the best') : null),
        {
            title: R.methods[m].name + ', ' + what,
            rows: [['accuracy', R.percent(value, 2) + '\u00a0%']].concat(
                R.is(low) ? [[R.level + ' interval', R.interval(low, high, 2) + '\u00a0%']] : []),
            note: best ? 'Not distinguishable from the best overall.' : ''
        });
}

function parametersCell(m) {
    const rows = [
        ['trainable parameters', R.count(R.methods[m].parameters)], ['with the head', R.count(R.withHead(m))],
        ['as given', R.methods[m].text]
    ];
    return R.tip(
        el('td', {class: 'number plain'}, R.short(R.methods[m].parameters)),
        {title: R.methods[m].name, rows});
}

function seedsCell(m, packs) {
    const n = packs.map((p) => R.runs(m, p)), low = d3.min(n), high = d3.max(n);
    const rows = [['final runs there', d3.sum(n) + ' of ' + packs.length * R.seeds.length]];
    const text = low === high ? String(low) : low + '–' + high;
    return R.tip(el('td', {class: 'number plain'}, text), {title: R.methods[m].name, rows});
}

/* Columns of the table for these packs: {id, title, group, key(m), show(m), hint}. */
function columns(packs) {
    const o = R.overall, out = [], of = (list, m) => (list || [])[m];
    const add = (group, id, title, hint, key, show) => out.push({group, id, title, hint, key, show});
    const mean = (group, id, title, what, g, best) =>
        add(group, id, title, what, (m) => of(g.mean, m),
            (m) => meanCell(of(g.mean, m), m, of(g.low, m), of(g.high, m), best(m), what));
    add('', 'parameters', 'Param.', 'trainable parameters without the head, mean over packs',
        (m) => R.methods[m].parameters, parametersCell);
    add('', 'seeds', 'n', 'seeds that have a result', (m) => d3.min(packs, (p) => R.runs(m, p)),
        (m) => seedsCell(m, packs));
    if (R.packs.length > 1)
        mean('mean', 'overall', 'all packs', 'mean over all packs', o, (m) => R.isBest(m, -1));
    if (R.groups.length > 1)
        mean(
            'mean', 'of_groups', 'of groups', 'mean of the groups’ means', {mean: o.mean_of_groups},
            () => false);
    R.groups.forEach((g, i) => {
        const here = g.packs.filter((p) => packs.indexOf(p) >= 0);
        here.forEach(
            (p) =>
                add(g.name, 'pack:' + p, R.packs[p].name, R.plural(R.packs[p].test, 'test image'),
                    (m) => R.cell(m, p).mean, (m) => packCell(m, p)));
        if (here.length === g.packs.length && here.length > 1 && R.groups.length > 1)
            mean(
                g.name, 'group:' + i, 'mean', 'mean over ' + g.name,
                {mean: g.means, low: g.low, high: g.high}, (m) => (g.best || []).indexOf(m) >= 0);
    });
    return out;
}

/* The heads over the heads: one cell a group of columns. */
function groupHeads(cols) {
    const heads = [];
    cols.forEach((c) => {
        const last = heads[heads.length - 1];
        if (last && last.group === c.group)
            last.span++;
        else
            heads.push({group: c.group, span: 1});
    });
    return heads.map(
        (h) => h.group ? el('th', {scope: 'colgroup', colspan: h.span}, el('span', {}, h.group)) :
                         el('td', {colspan: h.span}));
}

function tableOf(list, packs, redraw, caption) {
    const cols = columns(packs), sort = state.sort, by = cols.find((c) => c.id === sort.by);
    const key = sort.by === 'name' ? (m) => R.methods[m].name : by ? by.key : () => 0;
    const begins = (i) => i > 0 && cols[i].group !== cols[i - 1].group;
    const head = (c, i) =>
        R.sortHead(c.title, sort, c.id, redraw, 'number' + (begins(i) ? ' first' : ''), true, c.hint);
    const rows = [], body = R.sorted(list, key, sort.down).map((m) => {
        const cells = cols.map((c) => c.show(m));
        cells.filter((_, i) => begins(i)).forEach((td) => td.classList.add('first'));
        rows.push(cells);
        return el('tr', {}, el('th', {scope: 'row'}, R.methodName(m)), cells);
    });
    const table =
        el('table', {class: 'accuracy'}, el('caption', {}, caption),
           el('thead', {}, el('tr', {class: 'groups'}, el('td', {}), groupHeads(cols)),
              el('tr', {}, R.sortHead('method', sort, 'name', redraw, null, false), cols.map(head))),
           el('tbody', {}, body));
    R.rove(table, rows);
    return table;
}

R.drawTable = () => {
    const body = R.section(
        'accuracy', 'Accuracy on every pack',
        'Per cent of test images, mean over seeds, with its ' + R.level +
            ' interval (bootstrap over seeds and images). Shaded: not distinguishable from the best of ' +
            'its column ' +
            '(paired bootstrap, Holm-adjusted over all pairs, p ≥ ' + R.alpha +
            '), so read a column’s shaded ' +
            'cells as one answer. ' +
            'Hatched: no result, and why.',
        'that unshaded methods are worse elsewhere: each column is its own comparison. Filters hide rows ' +
            'and columns; the shading and the means stay those of all.');
    if (!R.hasAccuracy)
        return R.add(body, [
            R.nothing(
                'The test split is sealed, so every cell is empty; the choices made on validation images ' +
                'are in the section on the search.'),
            R.dataLinks()
        ]);
    if (R.overall.basis)
        body.appendChild(el('p', {}, 'Overall: ' + R.overall.basis.replace(/\.$/, '') + '.'));
    const controls = R.controls(body), screen = el('div', {class: 'table'}),
          print = el('div', {class: 'print-only'});
    const redraw = (focus) => {
        const list = R.shownMethods(), packs = R.shownPacks();
        R.clear(screen);
        R.clear(print);
        if (!list.length)
            return screen.appendChild(R.nothing('No method matches the filter.'));
        screen.appendChild(R.scroll('Accuracy table', tableOf(list, packs, redraw, 'Test accuracy, %')));
        /* paper is narrow: a table a group, or several as wide as each other */
        R.groups.forEach((g) => {
            const here = g.packs.filter((p) => packs.indexOf(p) >= 0), parts = Math.ceil(here.length / 7),
                  each = Math.ceil(here.length / parts);
            R.range(parts).forEach(
                (i) => print.appendChild(tableOf(
                    list, here.slice(i * each, (i + 1) * each), redraw,
                    g.name + (parts > 1 ? ', part ' + (i + 1) : ''))));
        });
        print.hidden = packs.length <= 4;
        screen.classList.toggle('screen-only', packs.length > 4);
        if (focus !== undefined)
            Array.from(screen.querySelectorAll('th[aria-sort] button.sort')).forEach((b) => b.focus());
    };
    R.tick(controls, 'intervals', state.intervals, (on) => {
        state.intervals = on;
        redraw();
    });
    controls.appendChild(
        el('span', {class: 'key'}, el('i', {class: 'swatch best'}), 'not distinguishable from the best'));
    controls.appendChild(el('span', {class: 'key'}, el('i', {class: 'swatch missing'}), 'no result'));
    R.add(body, [screen, print, R.dataLinks()]);
    R.views.push(() => redraw());
};
})(VitroReport);
