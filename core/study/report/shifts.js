/* shifts.js - what methods lose where the images have changed: a table, and a curve for each corruption. */
(function(R) {
'use strict';
const el = R.el;

const spread = (j, key) => R.is(j[key]) ?
    R.percent(j[key]) + ' [' + R.percent(j[key + '_low']) + ' ' + R.percent(j[key + '_high']) + ']' :
    null;

/* Sections of one document with the choice of its pack above them: [data of the pack] when there is one. */
R.packChooser = (body, list, draw) => {
    let at = list[0];
    if (list.length > 1)
        R.choice(
            R.controls(body), 'Pack', list.map((d, i) => [String(i), R.packs[d.pack].name]), '0', (v) => {
                at = list[+v];
                R.views.forEach((view) => view());
            });
    draw(() => at);
};
/* The methods that are shown and have a row. */
R.rowsOf = (d) => R.shownMethods().filter((m) => d.methods[m]);

function table(body, now) {
    R.table(
        body, 'shifts', 'Accuracy under shift, %',
        [
            {title: 'method', head: true, key: (m) => R.methods[m].name, show: R.methodName},
            {title: 'clean', number: true, key: (m) => now().methods[m].clean, show: (m) => spread(now().methods[m], 'clean')},
            {title: 'corrupted', number: true, hint: 'mean over the corrupted sets', key: (m) => now().methods[m].corrupted, show: (m) => spread(now().methods[m], 'corrupted')},
            {title: 'other data', number: true, hint: 'mean over the other data sets', key: (m) => now().methods[m].data, show: (m) => spread(now().methods[m], 'data')},
            {title: 'lost', number: true, hint: 'share of the clean accuracy that is gone, mean over shifted sets', key: (m) => now().methods[m].drop, show: (m) => spread(now().methods[m], 'drop')},
            {
                title: 'effective',
                number: true,
                hint: 'points above the line through the other methods, clean against shifted, on logit axes',
                key: (m) => now().methods[m].effective,
                show: (m) => R.is(now().methods[m].effective) ? R.points(now().methods[m].effective) : null
            }
        ],
        () => R.rowsOf(now()));
}

/* What the means are made of: one method a row where there are fewer sets than methods, else one set a row. */
function every(body, list, now) {
    const names = (d) => d.sets.map((s) => s.name).join();
    if (list[0].sets.length < R.methods.length && list.every((d) => names(d) === names(list[0])))
        R.table(
            body, 'shift-sets', 'Accuracy on every set, %',
            [{title: 'method', head: true, key: (m) => R.methods[m].name, show: R.methodName}].concat(
                list[0].sets.map((s, k) => ({
                    title: s.name.replace(/_/g, ' '),
                    number: true,
                    key: (m) => now().methods[m].accuracy[k],
                    show: (m) => R.percent(now().methods[m].accuracy[k])
                }))),
            () => R.rowsOf(now()));
    else
        setsInRows(body, now);
}

function setsInRows(body, now) {
    R.table(
        body, 'shift-sets', 'Accuracy on every set, %',
        [{title: 'set', head: true, key: (k) => now().sets[k].name}].concat(R.range(R.methods.length).map((m) => ({
            title: R.methods[m].name,
            number: true,
            key: (k) => now().methods[m] ? now().methods[m].accuracy[k] : null,
            show: (k) => now().methods[m] ? R.percent(now().methods[m].accuracy[k]) : null
        }))),
        () => R.range(now().sets.length), 16);
}

/* Accuracy against severity; the clean accuracy at severity 0. */
function tile(place, d, name, list, low) {
    const size = 168, x = d3.scale.linear().domain([0, 5]).range([30, size - 8]),
          y = d3.scale.linear().domain([low, 1]).range([size - 24, 8]),
          svg = R.svg(place, size, size, 'Accuracy under ' + name + ' by severity');
    const sets = R.range(d.sets.length).filter((k) => d.sets[k].corruption === name);
    R.axisX(svg, R.range(6).map((s) => [x(s), s ? String(s) : 'clean']), y(low), y(1), '', 0);
    R.axisY(svg, R.ticks(y, 4, (v) => R.percent(v, 0)), x(0), x(5), '');
    return list.map((m) => {
        const row = d.methods[m], points = [[0, row.clean]].concat(sets.map((k) => [d.sets[k].severity, row.accuracy[k]]));
        svg.append('path')
            .attr({d: d3.svg.line()(points.map((p) => [x(p[0]), y(p[1])])), class: 'curve'})
            .style('stroke', R.colour(m));
        return points.map((p) => {
            const mark = svg.append('path')
                             .attr({
                                 d: R.symbol(m, 26),
                                 transform: 'translate(' + x(p[0]) + ',' + y(p[1]) + ')',
                                 class: 'point'
                             })
                             .style('fill', R.colour(m))
                             .node();
            return R.tip(
                mark, {
                    title: R.methods[m].name,
                    rows: [[p[0] ? name + ', severity ' + p[0] : 'clean', R.percent(p[1]) + '\u00a0%']]
                },
                true);
        });
    });
}

R.drawShifts = () => {
    const list = R.data.robustness || [];
    if (!list.length)
        return; /* the study was not judged under shift */
    const body = R.section(
        'shifts', 'Under shift',
        'The same trained methods on images that have changed: corrupted in the ways of ImageNet-C, or of other ' +
            'data sets. Brackets are ' + R.level + ' intervals over seeds and images, the same images for all ' +
            'corruptions. A method is robust beyond its clean accuracy when its effective robustness is above 0.',
        'shifts other than these. A method that is worse on clean images has less to lose, so “lost” ' +
            'alone does not rank methods; effective robustness depends on which other methods are in the study.');
    R.packChooser(body, list, (now) => {
        body.appendChild(
            el('p', {}, 'Judged on ' + now().split + ' images: ' + R.count(now().sets[0].images) + ' clean, and ' +
               R.plural(now().sets.length - 1, 'shifted set') + '.'));
        table(body, now);
        R.figure(body, 'corruptions', '', (host, width, title) => {
            const d = now(), names = [];
            d.sets.forEach((s) => s.corruption && names.indexOf(s.corruption) < 0 && names.push(s.corruption));
            title('Accuracy by severity of each corruption, %, ' + R.packs[d.pack].name);
            const shown = R.rowsOf(d);
            if (!names.length || !shown.length)
                return;
            const all = [];
            shown.forEach((m) => all.push.apply(all, d.methods[m].accuracy.filter(R.is)));
            const low = Math.max(0, Math.floor(10 * d3.min(all)) / 10), place = el('div', {class: 'multiples'});
            host.appendChild(place);
            names.forEach((name) => {
                const t = place.appendChild(el('div', {class: 'tile'}, el('h4', {}, name.replace(/_/g, ' '))));
                R.rove(t, tile(t, d, name, shown, low));
            });
            R.legend(host, shown);
        });
        every(body, list, now);
    });
};
})(VitroReport);
