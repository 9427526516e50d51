/* tuning.js - the search: what a smaller budget would have given, every trial, what was chosen. */
(function(R) {
'use strict';
const el = R.el;

const of = (m, p) => R.at(R.data.tuning, m, p) || {trials: [], expected_best: []};
const trials = (m, p) => of(m, p).trials || [], done = (m, p) => trials(m, p).filter((t) => R.is(t.val));

/* the curve of a method on a pack; over all packs the mean as far as every pack has it */
function curve(m, where) {
    if (where !== 'mean')
        return (of(m, +where).expected_best || []).filter(R.is);
    const all = R.packs.map((_, p) => (of(m, p).expected_best || []).filter(R.is)),
          n = d3.min(all, (c) => c.length) || 0;
    return R.range(n).map((i) => d3.mean(all, (c) => c[i]));
}

/* Labels at the right end, pushed apart so that none covers another. */
function spread(list, step, top, bottom) {
    list.sort((a, b) => a.y - b.y);
    list.forEach((d, i) => {
        d.at = Math.max(d.y, i ? list[i - 1].at + step : top);
    });
    for (let i = list.length - 1, limit = bottom; i >= 0; i--, limit = list[i + 1].at - step)
        list[i].at = Math.min(list[i].at, limit);
}

function expected(host, width, where) {
    const lines = R.shownMethods().map((m) => ({m, c: curve(m, where)})).filter((d) => d.c.length);
    if (!lines.length)
        return;
    const longest = d3.max(lines, (d) => Math.min(22, R.methods[d.m].name.length)), left = 46, top = 24,
          right = width - 46 - 6.4 * longest, H = Math.max(300, Math.min(520, 70 + 14 * lines.length)),
          bottom = H - 42;
    const n = d3.max(lines, (d) => d.c.length),
          x = d3.scale.linear().domain([1, Math.max(2, n)]).range([left + 8, right]);
    const y = d3.scale.linear()
                  .domain([d3.min(lines, (d) => d.c[0]), d3.max(lines, (d) => d.c[d.c.length - 1])])
                  .nice(5)
                  .range([bottom, top]);
    const svg = R.svg(host, width, H, 'Expected best validation accuracy against the number of trials'),
          step = Math.max(1, Math.ceil(n / 10));
    R.axisY(
        svg, R.ticks(y, 5, (v) => R.percent(v, y.domain()[1] - y.domain()[0] < 0.05 ? 1 : 0)), left, right,
        'expected best accuracy on val, %');
    R.axisX(
        svg, R.range(n).filter((i) => i % step === 0).map((i) => [x(i + 1), String(i + 1)]), bottom, bottom,
        'trials', right);
    lines.forEach((d) => {
        d.end = [x(d.c.length), y(d.c[d.c.length - 1])];
        d.y = d.end[1];
    });
    spread(lines, Math.min(14, (bottom - top) / lines.length), top, bottom);
    const group = svg.selectAll('g.line').data(lines).enter().append('g').attr('class', 'line tippable');
    group.append('path').attr(
        {class: 'curve wide', d: (d) => d3.svg.line()(d.c.map((v, i) => [x(i + 1), y(v)]))});
    group.append('path')
        .attr({class: 'curve', d: (d) => d3.svg.line()(d.c.map((v, i) => [x(i + 1), y(v)]))})
        .style('stroke', (d) => R.colour(d.m));
    group.append('path')
        .attr({class: 'mark', d: (d) => R.symbol(d.m, 44), transform: (d) => 'translate(' + d.end + ')'})
        .style('fill', (d) => R.colour(d.m));
    group.append('path').attr(
        {class: 'leader', d: (d) => 'M' + (d.end[0] + 5) + ',' + d.end[1] + 'L' + (right + 28) + ',' + d.at});
    group.append('text')
        .attr({class: 'name', x: right + 31, y: (d) => d.at, dy: '.34em'})
        .text((d) => R.fit(R.methods[d.m].name, 22));
    group
        .each(function(d) {
            const at = [1, 2, 4, 8, 16, 32, 64].filter((k) => k < d.c.length).concat(d.c.length);
            R.tip(
                this, {
                    title: R.methods[d.m].name,
                    rows: at.map((k) => ['best of ' + k, R.percent(d.c[k - 1]) + '\u00a0%'])
                },
                true);
        })
        .on('mouseenter', () => svg.classed('one', true))
        .on('mouseleave', () => svg.classed('one', false))
        .on('focus', () => svg.classed('one', true))
        .on('blur', () => svg.classed('one', false));
    R.rove(svg.node(), group[0].map((e) => [e]));
}

function strip(host, width, p) {
    const list = R.ordered(R.shownMethods()).filter((m) => trials(m, p).length), values = [];
    list.forEach((m) => done(m, p).forEach((t) => values.push(t.val)));
    if (!list.length)
        return;
    const row = 21, lost = 62, left = 26 + 6.4 * d3.max(list, (m) => Math.min(22, R.methods[m].name.length)),
          top = 22, H = top + list.length * row + 42, right = width - 14;
    const x = d3.scale.linear().domain(values.length ? d3.extent(values) : [0, 1]).nice(8).range([
        left + lost + 10, right
    ]),
          svg = R.svg(host, width, H, 'Every trial on ' + R.packs[p].name);
    svg.append('rect').attr({x: left, y: top - 8, width: lost, height: H - 42 - top + 8, class: 'zone'});
    svg.append('text')
        .attr({x: left + lost / 2, y: H - 27, 'text-anchor': 'middle', class: 'tick'})
        .text('no result');
    R.axisX(
        svg,
        R.ticks(
            x, Math.max(3, width / 110), (v) => R.percent(v, x.domain()[1] - x.domain()[0] < 0.05 ? 1 : 0)),
        H - 42, top - 8, 'accuracy on val, %', right);
    R.rove(svg.node(), list.map((m, i) => {
        const y = top + (i + 0.5) * row, bad = trials(m, p).filter((t) => !R.is(t.val)),
              all = done(m, p).slice().sort((a, b) => a.val - b.val);
        svg.append('path')
            .attr({d: R.symbol(m, 46), transform: 'translate(8,' + y + ')', class: 'mark'})
            .style('fill', R.colour(m));
        svg.append('text').attr({x: 18, y, dy: '.34em', class: 'name'}).text(R.fit(R.methods[m].name, 22));
        svg.append('line').attr({x1: left, x2: right, y1: y + row / 2, y2: y + row / 2, class: 'grid'});
        const spec = (t) => ({
            title: t.method,
            rows: [
                ['learning rate, decay', R.significant(t.lr) + ', ' + R.significant(t.decay)],
                ['on val', R.percent(t.val) + '\u00a0%, NLL ' + R.fixed(t.nll, 3)],
                ['epochs', R.count(t.epochs)], ['took', R.seconds(t.seconds)],
                ['trial', String(t.id).slice(0, 12)]
            ],
            note: t.chosen ? 'Chosen.' : t.reason || ''
        });
        const mark = (t, place, d, kind) => {
            const path = svg.append('path')
                             .attr({d, transform: 'translate(' + place + ',' + y + ')', class: kind})
                             .node();
            if (kind !== 'lost')
                path.style.fill = R.colour(m);
            return R.tip(path, spec(t), true);
        };
        return bad
            .map(
                (t, k) => mark(
                    t, left + 8 + Math.min(9, (lost - 14) / Math.max(1, bad.length)) * k,
                    'M-3,-3L3,3M3,-3L-3,3', 'lost'))
            .concat(
                all.filter((t) => !t.chosen)
                    .map((t) => mark(t, x(t.val), d3.svg.symbol().size(30)(), 'point trial')),
                all.filter((t) => t.chosen).map((t) => mark(t, x(t.val), R.symbol(m, 96), 'mark point')));
    }));
    host.appendChild(
        el('ul', {class: 'legend'}, el('li', {}, el('i', {class: 'swatch disc faint'}), 'a trial'),
           el('li', {}, el('i', {class: 'swatch disc'}), 'the chosen one, in its method’s shape'),
           el('li', {}, el('i', {class: 'swatch cross'}), 'diverged or failed')));
}

function choices(body, pack) {
    const edge = (c) => c.edges ? el('span', {class: 'warning'}, '▲ ' + c.edges) : 'inside';
    const number = (title, key, show, hint) => ({title, key, show: (r) => show(key(r)), hint, number: true});
    const columns = [
        {title: 'method', head: true, key: (r) => R.methods[r.m].name, show: (r) => R.methodName(r.m)},
        {title: 'chosen', mono: true, key: (r) => r.cell.chosen},
        number('learning rate', (r) => r.cell.lr, R.significant),
        number('decay', (r) => r.cell.decay, R.significant),
        number('on val, %', (r) => r.cell.val, R.percent),
        number('ties', (r) => r.cell.ties, R.count, 'other trials with the same accuracy on val'),
        number(
            'within error', (r) => r.tuning.near, R.count,
            'other trials whose accuracy on val is within one standard error of the chosen one’s'),
        number('trials', (r) => (r.tuning.trials || []).length, R.count),
        {
            title: 'in its space',
            hint: 'at an edge, a better value may lie beyond it',
            key: (r) => r.cell.edges,
            show: (r) => edge(r.cell)
        },
    ];
    R.table(
        body, 'choices', 'What was chosen on the pack selected above', columns,
        () => R.shownMethods().map((m) => ({m, cell: R.cell(m, pack()), tuning: of(m, pack())})));
}

R.drawTuning = () => {
    const body = R.section(
        'tuning', 'The search',
        'A curve’s height at n is the validation accuracy to be expected from the best of n of the ' +
            'trials, drawn at random. Curves that still rise at their right end were not searched enough; ' +
            'curves that cross mean that the budget decides which method looks better. ' +
            'Below, every trial, the chosen one large.',
        'test accuracy: everything here was seen by the search, so its best value is optimistic. Trials that ' +
            'diverged or failed count as 0 in a curve, since they were paid for.');
    const there = R.range(R.packs.length).filter((p) => R.methods.some((_, m) => trials(m, p).length));
    if (!there.length)
        return body.appendChild(R.nothing('No trial is in the data.'));
    const edges = [], cells = R.methods.length * R.packs.length;
    R.methods.forEach((_, m) => R.packs.forEach((__, p) => R.cell(m, p).edges ? edges.push([m, p]) : 0));
    body.appendChild(
        edges.length ?
            el('details', {class: 'edges'},
               el('summary', {}, el('span', {class: 'warning'}, '▲ '),
                  edges.length + ' of ' + R.plural(cells, 'choice') + (edges.length > 1 ? ' lie' : ' lies') +
                      ' at an edge of what was searched; a better value may lie beyond.'),
               el('ul', {},
                  edges.map(
                      (e) =>
                          el('li', {},
                             R.methods[e[0]].name + ' on ' + R.packs[e[1]].name + ': ' +
                                 R.cell(e[0], e[1]).edges)))) :
            el('p', {}, 'No choice lies at an edge of what was searched.'));
    let where = there.length > 1 ? 'mean' : String(there[0]), pack = there[0], one = null, two = null;
    const set = (v) => {
        where = v;
        if (v !== 'mean')
            pack = +v;
    };
    const select = R.choice(
        R.controls(body), 'Pack', R.packOptions(there.length > 1 ? [['mean', 'mean over packs']] : []), where,
        (v) => {
            set(v);
            R.redrawAll();
        });
    R.followPack(select, set);
    one = R.figure(body, 'expected', '', (host, width, title) => {
        title('Expected best of n trials, ' + (where === 'mean' ? 'mean over packs' : R.packs[+where].name));
        expected(host, width, where);
    });
    two = R.figure(body, 'trials', '', (host, width, title) => {
        title('Every trial on ' + R.packs[pack].name);
        strip(host, width, pack);
    });
    choices(body, () => pack);
    return [one, two];
};
})(VitroReport);
