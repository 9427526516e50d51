/* calibration.js - whether a method's confidence is its accuracy, before and after one temperature ' +
'fitted on val. */
(function(R) {
'use strict';
const el = R.el;

const of = (m, p) => R.at(R.data.calibration, m, p);
/* a measure of a method on a pack, or its mean over all packs, null when one lacks */
const value = (m, where, key) => {
    if (where !== 'mean')
        return (of(m, +where) || {})[key];
    const all = R.packs.map((_, p) => (of(m, p) || {})[key]);
    return all.every(R.is) ? R.mean(all) : null;
};

function before(host, width, where) {
    const list = R.sorted(R.shownMethods(), (m) => value(m, where, 'ece_after'))
                     .filter((m) => R.is(value(m, where, 'ece')));
    if (!list.length)
        return host.appendChild(R.nothing('No shown method has results on all of these packs.'));
    const row = 20, left = 30 + 6.4 * d3.max(list, (m) => Math.min(22, R.methods[m].name.length)), top = 14,
          H = top + list.length * row + 42, W = Math.min(width, 860), right = W - 16;
    const x =
        d3.scale.linear()
            .domain(
                [0, d3.max(list, (m) => Math.max(value(m, where, 'ece'), value(m, where, 'ece_after') || 0))])
            .nice(5)
            .range([left, right]);
    const svg = R.svg(host, W, H, 'Calibration error before and after temperature scaling');
    R.axisX(
        svg, R.ticks(x, 6, (v) => R.percent(v)), H - 42, top - 6, 'expected calibration error, % (15 bins)',
        right);
    R.rove(svg.node(), list.map((m, i) => {
        const y = top + (i + 0.5) * row, a = value(m, where, 'ece'), b = value(m, where, 'ece_after');
        svg.append('path')
            .attr({d: R.symbol(m, 46), transform: 'translate(8,' + y + ')', class: 'mark'})
            .style('fill', R.colour(m));
        svg.append('text').attr({x: 18, y, dy: '.34em', class: 'name'}).text(R.fit(R.methods[m].name, 22));
        if (R.is(b))
            svg.append('line')
                .attr({x1: x(a), x2: x(b), y1: y, y2: y, class: 'bar'})
                .style('stroke', R.colour(m));
        const hollow = svg.append('circle')
                           .attr({cx: x(a), cy: y, r: 4.5, class: 'point hollow'})
                           .style('stroke', R.colour(m))
                           .node();
        const full = R.is(b) ? svg.append('circle')
                                   .attr({cx: x(b), cy: y, r: 4.5, class: 'mark point'})
                                   .style('fill', R.colour(m))
                                   .node() :
                               null;
        const spec = {
            title: R.methods[m].name,
            rows: [
                ['ECE before', R.percent(a) + '\u00a0%'], ['ECE after', R.percent(b) + '\u00a0%'],
                ['temperature', R.fixed(value(m, where, 'temperature'), 2)],
                [
                    'negative log-likelihood',
                    R.fixed(value(m, where, 'nll'), 3) + ' → ' + R.fixed(value(m, where, 'nll_after'), 3)
                ],
                [
                    'Brier score',
                    R.fixed(value(m, where, 'brier'), 3) +
                        (R.is(value(m, where, 'brier_after')) ?
                             ' → ' + R.fixed(value(m, where, 'brier_after'), 3) :
                             '')
                ]
            ]
        };
        R.tip(hollow, spec, true);
        return [hollow, full ? R.tip(full, spec, true) : null];
    }));
    host.appendChild(
        el('ul', {class: 'legend'}, el('li', {}, el('i', {class: 'swatch ring'}), 'as trained'),
           el('li', {}, el('i', {class: 'swatch disc'}), 'after the temperature')));
}

/* A reliability diagram: accuracy against confidence, a dot's area its share of images. */
function diagram(place, m, p, size) {
    const c = of(m, p), bins = c.bins.filter((b) => b.count > 0), total = d3.sum(bins, (b) => b.count) || 1,
          x = d3.scale.linear().domain([0, 1]).range([22, size - 6]),
          y = d3.scale.linear().domain([0, 1]).range([size - 18, 6]);
    const area = d3.scale.sqrt().domain([0, 1]).range([1.4, size / 9]),
          svg = R.svg(place, size, size, 'Reliability of ' + R.methods[m].name + ' on ' + R.packs[p].name);
    R.axisX(svg, [[x(0), '0'], [x(0.5), '.5'], [x(1), '1']], y(0), y(1), '', 0);
    R.axisY(svg, [[y(0.5), '.5'], [y(1), '1']], x(0), x(1), '');
    svg.append('line').attr({x1: x(0), y1: y(0), x2: x(1), y2: y(1), class: 'zero'});
    svg.append('path')
        .attr({d: d3.svg.line()(bins.map((b) => [x(b.confidence), y(b.accuracy)])), class: 'curve thin'})
        .style('stroke', R.colour(m));
    return svg.append('g')
        .selectAll('circle')
        .data(bins)
        .enter()
        .append('circle')
        .attr({
            cx: (b) => x(b.confidence),
            cy: (b) => y(b.accuracy),
            r: (b) => area(b.count / total),
            class: 'point bin'
        })
        .style('fill', R.colour(m))
        .each(function(b) {
            R.tip(
                this, {
                    title: R.methods[m].name + ' on ' + R.packs[p].name,
                    rows: [
                        ['mean confidence', R.percent(b.confidence) + '\u00a0%'],
                        ['accuracy', R.percent(b.accuracy) + '\u00a0%'],
                        ['images', R.count(b.count) + ' (' + R.percent(b.count / total) + '\u00a0%)']
                    ]
                },
                true);
        })[0];
}

R.drawCalibration = () => {
    const body = R.section(
        'calibration', 'Calibration',
        'Of the answers given with 80 % confidence, 80 % should be right. The expected calibration error ' +
            '(ECE) is the mean gap: hollow as trained, filled after dividing all logits by one temperature ' +
            'fitted on validation images. ' +
            'In the diagrams, dots below the diagonal are answers given too confidently; a dot’s area is ' +
            'its share of images.',
        'calibration within classes, or on images unlike these. ECE depends on the bins (15 of equal ' +
            'width) and cannot be zero on few images.');
    const there =
        R.packs.map((_, p) => p).filter((p) => R.methods.some((__, m) => of(m, p) && of(m, p).bins));
    if (!there.length)
        return body.appendChild(R.nothing('There are no answers on test images to judge.'));
    let where = there.length > 1 && R.methods.some((_, m) => R.is(value(m, 'mean', 'ece'))) ?
        'mean' :
        String(there[0]),
        pack = there[0], one = null, two = null;
    const controls = R.controls(body), set = (v) => {
        where = v;
        if (v !== 'mean')
            pack = +v;
    };
    const select = R.choice(
        controls, 'Pack', R.packOptions(there.length > 1 ? [['mean', 'mean over packs']] : []), where,
        (v) => {
            set(v);
            one();
            two();
        });
    R.followPack(select, set);
    one = R.figure(body, 'calibration', '', (host, width, title) => {
        title(
            'Expected calibration error before and after temperature scaling, ' +
            (where === 'mean' ? 'mean over packs' : R.packs[+where].name));
        before(host, width, where);
    });
    two = R.figure(body, 'reliability', '', (host, width, title) => {
        title('Reliability diagrams as trained, ' + R.packs[pack].name + ': accuracy against confidence');
        const list = R.ordered(R.shownMethods()).filter((m) => of(m, pack) && of(m, pack).bins),
              place = el('div', {class: 'multiples'}), size = list.length > 12 ? 128 : 152;
        if (!list.length)
            return;
        host.appendChild(place);
        list.forEach((m) => {
            const tile = place.appendChild(el('div', {class: 'tile'}, el('h4', {}, R.methodName(m)))),
                  marks = diagram(tile, m, pack, size);
            tile.appendChild(
                el('p', {},
                   'ECE ' + R.percent(of(m, pack).ece) + ' → ' + R.percent(of(m, pack).ece_after) +
                       '\u00a0%, T = ' + R.fixed(of(m, pack).temperature, 2)));
            R.rove(tile, [marks]);
        });
    });
};
})(VitroReport);
