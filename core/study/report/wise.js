/* wise.js - between the backbone and the trained model: accuracy on clean against accuracy on shifted images. */
(function(R) {
'use strict';
const el = R.el;

const alphaText = (d, a) => 'α = ' + R.significant(d.alphas[a]);
const pair = (c, a) => R.percent(c.id[a]) + ' / ' + R.percent(c.ood[a]);

/* curves: [{m, c, control}] */
function curvesOf(d, which) {
    const list = [];
    R.rowsOf(d).forEach((m) => {
        const row = d.methods[m];
        if (which !== 'control' && row.id)
            list.push({m, c: row, control: false});
        if (which !== 'weights')
            list.push({m, c: row.control, control: true});
    });
    return list;
}

function tipOf(d, curve, a) {
    const c = curve.c;
    return {
        title: R.methods[curve.m].name + ', ' + alphaText(d, a),
        rows: [
            ['clean', R.percent(c.id[a]) + ' [' + R.percent(c.id_low[a]) + ' ' + R.percent(c.id_high[a]) + ']\u00a0%'],
            ['shifted', R.percent(c.ood[a]) + ' [' + R.percent(c.ood_low[a]) + ' ' + R.percent(c.ood_high[a]) + ']\u00a0%'],
            ['val', R.is(c.val[a]) ? R.percent(c.val[a]) + '\u00a0%' : 'none']
        ],
        note: (curve.control ? 'Control: probabilities mixed. ' : 'Weights interpolated. ') +
            (c.best === a ? 'Chosen by val.' : '')
    };
}

/* Beyond so many methods their curves hide each other, and each has a picture of its own. */
const together = 8;

function domains(curves) {
    const domain = (key) => {
        const e = d3.extent([].concat.apply([], curves.map((c) => c.c[key].filter(R.is)))),
              pad = Math.max(0.01, 0.06 * (e[1] - e[0]));
        return [Math.max(0, e[0] - pad), Math.min(1, e[1] + pad)];
    };
    return {id: domain('id'), ood: domain('ood')};
}

/* One curve with a mark at each alpha: a square, small dots, the method's own; those that a reader may point at. */
function drawCurve(svg, d, curve, x, y) {
    const c = curve.c, at = (a) => [x(c.id[a]), y(c.ood[a])], last = d.alphas.length - 1;
    const line = svg.append('path')
                     .attr({d: d3.svg.line()(d.alphas.map((_, a) => at(a))), class: curve.control ? 'curve thin' : 'curve'})
                     .style('stroke', R.colour(curve.m));
    if (curve.control)
        line.style('stroke-dasharray', '4 3');
    return d.alphas.map((_, a) => {
        const ends = a === 0 || a === last, best = c.best === a;
        const shape = a === 0 ? d3.svg.symbol().type('square').size(58)() :
            a === last        ? R.symbol(curve.m, 92) :
                                d3.svg.symbol().type('circle').size(best ? 60 : 20)();
        const mark = svg.append('path')
                         .attr({d: shape, transform: 'translate(' + at(a) + ')', class: 'mark point'})
                         .style('fill', curve.control && !ends ? 'var(--paper)' : R.colour(curve.m));
        mark.style('stroke', best ? 'var(--ink)' : R.colour(curve.m)).style('stroke-width', best ? 2.2 : 1);
        return R.tip(mark.node(), tipOf(d, curve, a), true);
    });
}

function drawTogether(host, width, d, curves) {
    const left = 46, top = 14, H = Math.round(Math.max(340, Math.min(560, width * 0.6))), right = width - 18,
          to = domains(curves);
    const x = d3.scale.linear().domain(to.id).range([left, right]),
          y = d3.scale.linear().domain(to.ood).range([H - 44, top]),
          svg = R.svg(host, width, H, 'Clean against shifted accuracy between backbone and trained model');
    R.axisX(svg, R.ticks(x, 8, (v) => R.percent(v, 0)), H - 44, top, 'accuracy on clean images, %', right);
    R.axisY(svg, R.ticks(y, 7, (v) => R.percent(v, 0)), left, right, 'mean accuracy on shifted images, %');
    R.rove(svg.node(), curves.map((curve) => drawCurve(svg, d, curve, x, y)));
    R.legend(host, R.rowsOf(d));
}

/* The same axes everywhere, so that pictures can be compared. */
function drawApart(host, d, curves) {
    const W = 196, H = 168, left = 32, to = domains(curves), place = el('div', {class: 'multiples'});
    const x = d3.scale.linear().domain(to.id).range([left, W - 10]),
          y = d3.scale.linear().domain(to.ood).range([H - 24, 10]);
    host.appendChild(place);
    R.rowsOf(d).forEach((m) => {
        const own = curves.filter((c) => c.m === m);
        if (!own.length)
            return;
        const tile = place.appendChild(el('div', {class: 'tile'}, el('h4', {}, R.methodName(m)))),
              svg = R.svg(tile, W, H, R.methods[m].name + ': clean against shifted accuracy');
        R.axisX(svg, R.ticks(x, 4, (v) => R.percent(v, 0)), H - 24, 10, '', W - 10);
        R.axisY(svg, R.ticks(y, 4, (v) => R.percent(v, 0)), left, W - 10, '');
        R.rove(tile, own.map((curve) => drawCurve(svg, d, curve, x, y)));
    });
    host.appendChild(el('p', {}, 'Across: accuracy on clean images; up: mean accuracy on shifted images; the same axes in all, %.'));
}

function draw(host, width, d, which) {
    const curves = curvesOf(d, which);
    if (!curves.length)
        return;
    if (R.rowsOf(d).length > together)
        drawApart(host, d, curves);
    else
        drawTogether(host, width, d, curves);
    host.appendChild(
        el('p', {},
           'Squares: the backbone (α = 0); the method’s own mark: as trained (α = 1); a ring in ink: the α that ' +
               'validation images chose. Dashed: the control, probabilities of both mixed.'));
}

/* Distances of logits: nothing, or a power of ten says enough. */
const distance = (v) => !R.is(v) ? null : v === 0 ? '0' : v.toExponential(0).replace('-', '\u2212');

/* Studies put side by side may differ in it. */
const oneHead = (list) => {
    const all = [].concat.apply([], list.map((d) => d.methods.filter((m) => m).map((m) => m.head)));
    return all.every((h) => h === all[0]) ? all[0] : null;
};

function table(body, now, headsDiffer) {
    const at = (m, end) => now().methods[m].id ? pair(now().methods[m], end(now())) : null;
    const last = (d) => d.alphas.length - 1;
    const chosen = (c) => c && R.is(c.best) ?
        pair(c, c.best) + ' at ' + R.significant(now().alphas[c.best]) :
        null;
    R.table(
        body, 'wise', 'Clean / shifted accuracy, %',
        [
            {title: 'method', head: true, key: (m) => R.methods[m].name, show: R.methodName},
            {title: 'way back', key: (m) => now().methods[m].how, show: (m) => now().methods[m].how === 'none' ?
                R.tip(el('span', {}, 'none'), {title: 'No way back', note: now().methods[m].why}) :
                now().methods[m].how + (headsDiffer ? ', head: ' + now().methods[m].head : '')},
            {title: 'α = 0', number: true, key: (m) => (now().methods[m].control.ood || [])[0], show: (m) => pair(now().methods[m].control, 0)},
            {title: 'α = 1', number: true, key: (m) => now().methods[m].control.ood[last(now())], show: (m) => pair(now().methods[m].control, last(now()))},
            {title: 'chosen by val', number: true, hint: 'at the α with the highest accuracy on validation images', key: (m) => now().methods[m].id && R.is(now().methods[m].best) ? now().methods[m].ood[now().methods[m].best] : null, show: (m) => chosen(now().methods[m])},
            {title: 'control, chosen by val', number: true, hint: 'probabilities mixed', key: (m) => R.is(now().methods[m].control.best) ? now().methods[m].control.ood[now().methods[m].control.best] : null, show: (m) => chosen(now().methods[m].control)},
            {title: 'off at α = 0', number: true, hint: 'by weights: how far a logit is, at most, from the plain backbone’s, clean images', key: (m) => now().methods[m].anchor_off, show: (m) => distance(now().methods[m].anchor_off)},
            {title: 'off at α = 1', number: true, hint: 'by weights: how far a logit is, at most, from the trained method’s, clean images', key: (m) => now().methods[m].tuned_off, show: (m) => distance(now().methods[m].tuned_off)}
        ],
        () => R.rowsOf(now()));
}

R.drawWise = () => {
    const list = R.data.wise || [];
    if (!list.length)
        return; /* nothing was interpolated */
    const heads = {
        probe: 'the backbone with the head of the linear probe',
        tuned: 'the backbone with the trained head',
        own: 'the backbone with the head that training began with'
    };
    const head = oneHead(list);
    const body = R.section(
        'wise', 'Between backbone and trained model',
        'WiSE: every trained tensor is moved towards the backbone’s, α of the way from 0 (' +
            (heads[head] || 'the backbone, with the head that the table names') + ') to 1 (as trained). A curve that bulges up and right gains on ' +
            'shifted images without losing on clean ones. The control mixes answers instead of weights, which needs ' +
            'both models at work: weights are worth it where their curve is not below the control’s.',
        'which α is best on shifted images: α is chosen on validation images alone, and not at all for methods that ' +
            'were trained on them.');
    let which = 'both';
    R.packChooser(body, list, (now) => {
        let redraw = null;
        R.choice(
            R.controls(body), 'Show', [['both', 'weights and control'], ['weights', 'weights'], ['control', 'control']],
            which, (v) => {
                which = v;
                redraw();
            });
        redraw = R.figure(body, 'wise', '', (host, width, title) => {
            title('Clean against shifted accuracy, α from 0 to 1, ' + R.packs[now().pack].name);
            draw(host, width, now(), which);
        });
        table(body, now, head === null);
        const refused = R.rowsOf(now()).filter((m) => now().methods[m].why);
        if (refused.length)
            body.appendChild(
                el('ul', {}, refused.map((m) => el('li', {}, R.methods[m].name + ': ' + now().methods[m].why + '.'))));
    });
};
})(VitroReport);
