/* ensembles.js - what joining methods gains over the one method that validation images would pick. */
(function(R) {
'use strict';
const el = R.el;

/* kind, how it is drawn; `seeds` is the control */
const KINDS = [
    {id: 'greedy', name: 'greedy, chosen on val', shape: 'circle', colour: 'var(--m4)'},
    {id: 'all', name: 'all methods', shape: 'square', colour: 'var(--m3)'},
    {id: 'pair', name: 'best pair on val', shape: 'triangle-up', colour: 'var(--m6)'},
    {id: 'seeds', name: 'control: several seeds of one method', shape: 'diamond', colour: 'var(--m5)'}
];
const kindOf = (id) => KINDS.find((k) => k.id === id) || {id, name: id, shape: 'cross', colour: 'var(--m1)'};
const symbol = (kind, area) => d3.svg.symbol().type(kindOf(kind).shape).size(area || 52)();

function legend(host, kinds, brief) {
    host.appendChild(
        el('ul', {class: 'legend', 'aria-label': 'Kinds of ensemble'}, kinds.map((k) => {
            const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
            d3.select(svg)
                .attr({viewBox: '-7 -7 14 14', width: 12, height: 12, class: 'marker', 'aria-hidden': 'true'})
                .append('path')
                .attr({d: symbol(k, 70), class: 'mark'})
                .style('fill', kindOf(k).colour);
            return el('li', {}, svg, kindOf(k).name);
        }),
           brief ? null : el('li', {}, el('i', {class: 'swatch best-single'}), 'best single in hindsight')));
}

/* The rows of one rule, of each kind the largest: the control is there for two seeds, three, ... */
const ofRule = (rows, rule) => {
    const largest = (k) =>
        R.sorted(rows.filter((r) => r.rule === rule && r.kind === k.id), (r) => r.size, true)[0];
    return KINDS.map(largest).filter(Boolean);
};

/* What is drawn, a line a pack: {name, rows, pack (null: the mean), best: gain of the best single in hindsight}. */
function lines(rule) {
    const e = R.data.ensembles, mean = ofRule(e.mean || [], rule);
    const out = e.packs.filter((q) => R.shownPacks().indexOf(q.pack) >= 0).map((q) => {
        const best = R.is(q.val_single_accuracy) ? q.best_single_accuracy - q.val_single_accuracy : null;
        return {name: R.packs[q.pack].name, pack: q, rows: ofRule(q.rows, rule), best};
    });
    if (mean.length && e.packs.length > 1) {
        const known = R.is(mean[0].gain_over_best_single);
        const best = known ? mean[0].gain_over_val_single - mean[0].gain_over_best_single : null;
        out.unshift({name: 'mean over packs', pack: null, rows: mean, best});
    }
    return out;
}

function spec(line, row) {
    const points = (v) => R.points(v) + '\u00a0points', percent = (v) => R.percent(v) + '\u00a0%';
    const rows = [['gain', points(row.gain_over_val_single)]], q = line.pack;
    const single = (title, m, accuracy) =>
        R.methods[m] ? rows.push([title, R.methods[m].name + ', ' + percent(accuracy)]) : 0;
    if (R.is(row.gain_low))
        rows.push([R.level + ' interval', R.interval(row.gain_low, row.gain_high)]);
    rows.push(['accuracy', percent(row.accuracy)]);
    if (R.is(row.gain_over_best_single))
        rows.push(['over the best in hindsight', points(row.gain_over_best_single)]);
    if (R.is(row.gain_over_seeds) && row.kind !== 'seeds')
        rows.push([
            'over the control',
            points(row.gain_over_seeds) + ' ' + R.interval(row.gain_over_seeds_low, row.gain_over_seeds_high)
        ]);
    if (row.members) {
        const names = R.fit(row.members.map((m) => R.methods[m].name).join(', '), 120);
        rows.push([
            'members', names + (row.kind === 'seeds' && row.size ? ' × ' + R.plural(row.size, 'seed') : '')
        ]);
    }
    if (q) {
        single('chosen on val', q.val_single, q.val_single_accuracy);
        single('best in hindsight', q.best_single, q.best_single_accuracy);
        rows.push([
            'mean, worst single', R.percent(q.mean_single_accuracy) + ', ' + percent(q.worst_single_accuracy)
        ]);
    }
    return {title: line.name + ', ' + kindOf(row.kind).name, rows};
}

/* One ensemble: its bar and its mark; returns the mark. */
function drawGain(svg, x, y, line, row) {
    const k = kindOf(row.kind);
    if (R.is(row.gain_low))
        svg.append('line')
            .attr({x1: x(row.gain_low), x2: x(row.gain_high), y1: y, y2: y, class: 'bar'})
            .style('stroke', k.colour);
    if (!R.is(row.gain_over_val_single))
        return null;
    const place = 'translate(' + x(row.gain_over_val_single) + ',' + y + ')';
    const mark = svg.append('path').attr({d: symbol(row.kind), transform: place, class: 'mark point'});
    mark.style('fill', k.colour);
    return R.tip(mark.node(), spec(line, row), true);
}

function gains(host, width, rule) {
    const list = lines(rule);
    const kinds =
        KINDS.map((k) => k.id).filter((k) => list.some((line) => line.rows.some((r) => r.kind === k)));
    if (!list.length || !kinds.length)
        return;
    const lane = 9, gap = 10, each = kinds.length * lane + gap, top = 22, bottom = top + list.length * each;
    const left = Math.min(170, 20 + 6.4 * d3.max(list, (line) => line.name.length)), right = width - 16;
    const values = [0];
    list.forEach((line) => {
        values.push(line.best);
        line.rows.forEach((r) => values.push(r.gain_over_val_single, r.gain_low, r.gain_high));
    });
    const x = d3.scale.linear().domain(d3.extent(values.filter(R.is))).nice(6).range([left + 8, right]);
    const svg = R.svg(host, width, bottom + 42, 'Gain of ensembles over the single method chosen on val');
    const ticks = R.ticks(x, Math.max(3, Math.min(9, width / 90)), R.points);
    R.axisX(svg, ticks, bottom, top - 8, 'gain over the method chosen on val, points', right);
    svg.append('line').attr({x1: x(0), x2: x(0), y1: top - 8, y2: bottom, class: 'zero'});
    R.rove(svg.node(), list.map((line, i) => {
        const y = top + i * each;
        if (!line.pack)
            svg.append('rect').attr({x: 0, y: y - 4, width, height: each - 2, class: 'zone'});
        svg.append('text')
            .attr({x: left - 6, y: y + (each - gap) / 2, dy: '.2em', 'text-anchor': 'end', class: 'name'})
            .text(R.fit(line.name, 24));
        if (R.is(line.best))
            svg.append('line').attr(
                {x1: x(line.best), x2: x(line.best), y1: y - 2, y2: y + each - gap, class: 'best-single'});
        return line.rows.map((r) => drawGain(svg, x, y + (kinds.indexOf(r.kind) + 0.5) * lane, line, r))
            .filter(Boolean);
    }));
    legend(host, kinds);
}

function sizes(host, width, curve, control) {
    const W = Math.min(width, 560), H = 250, left = 46, top = 24, right = W - 20, bottom = H - 42;
    const svg = R.svg(host, W, H, 'Accuracy of the greedy ensemble against its size');
    const values = d3.extent(curve.concat(control), (d) => d.accuracy), most = d3.max(curve, (d) => d.size);
    const y = d3.scale.linear().domain(values).nice(4).range([bottom, top]);
    const x = d3.scale.linear().domain([1, Math.max(2, most)]).range([left + 12, right]);
    R.axisY(svg, R.ticks(y, 4, (v) => R.percent(v)), left, right, 'accuracy, %, mean over packs');
    R.axisX(
        svg, curve.filter((_, i) => curve.length < 14 || i % 2 === 0).map((d) => [x(d.size), String(d.size)]),
        bottom, bottom, 'methods in the ensemble', right);
    const line = (list, kind) =>
        svg.append('path')
            .attr({d: d3.svg.line()(list.map((d) => [x(d.size), y(d.accuracy)])), class: 'curve'})
            .style('stroke', kindOf(kind).colour);
    line(curve, 'greedy');
    line(control, 'seeds');
    const dots = (list, kind, what) =>
        svg.append('g')
            .selectAll('path')
            .data(list)
            .enter()
            .append('path')
            .attr({
                d: symbol(kind),
                transform: (d) => 'translate(' + x(d.size) + ',' + y(d.accuracy) + ')',
                class: 'mark point'
            })
            .style('fill', kindOf(kind).colour)
            .each(function(d) {
                R.tip(
                    this, {
                        title: R.plural(d.size, what),
                        rows: [
                            ['accuracy', R.percent(d.accuracy, 2) + '\u00a0%'],
                            ['over one model', R.points(d.accuracy - curve[0].accuracy) + '\u00a0points']
                        ].slice(0, d.size > 1 ? 2 : 1)
                    },
                    true);
            })[0];
    R.rove(svg.node(), [dots(curve, 'greedy', 'method'), dots(control.slice(1), 'seeds', 'seed')]);
    if (control.length)
        legend(host, ['greedy', 'seeds'], true);
}

R.drawEnsembles = () => {
    const e = R.data.ensembles || {};
    const body = R.section(
        'ensembles', 'Ensembles',
        'Right of the line, answering together beats the one method that validation images would have ' +
            'picked; bars are ' + R.level +
            ' intervals of that gain. The diamond is the control: one method trained with several seeds ' +
            'and joined; ' +
            'only what lies beyond it can come from methods being different. The tick marks the best ' +
            'single method in hindsight, which nobody could have chosen without the test images.',
        'the price: an ensemble of k methods stores and runs k of them. The control has as many models ' +
            'as there are seeds, which may be fewer than the ensemble has.');
    if (!e.packs || !e.packs.length)
        return body.appendChild(R.nothing(
            R.methods.length < 2 ? 'An ensemble needs two methods.' :
                                   'There are no answers on test images to join.'));
    const rules = ['logits', 'probabilities', 'vote'].filter(
        (rule) => e.packs.some((q) => q.rows.some((r) => r.rule === rule)));
    let rule = rules[0], redraw = null;
    const names = rules.map((r) => [r, r === 'vote' ? 'majority vote' : 'mean of ' + r]);
    R.choice(R.controls(body), 'Joined by', names, rule, (v) => {
        rule = v;
        redraw();
    });
    redraw = R.figure(
        body, 'ensembles', 'Gain over the single method chosen on validation images',
        (host, width) => gains(host, width, rule));
    const curve = (e.size_curve || []).filter((d) => R.is(d.accuracy));
    const seeds =
        (e.mean ||
         []).filter((r) => r.kind === 'seeds' && r.rule === 'probabilities' && r.size && R.is(r.accuracy));
    const control = seeds.length && curve.length ? [curve[0]].concat(R.sorted(seeds, (r) => r.size)) : [];
    if (curve.length > 1)
        R.figure(
            body, 'ensemble-size',
            'Accuracy of the mean probability of so many methods, added greedily on validation images',
            (host, width) => sizes(host, width, curve, control));
};
})(VitroReport);
