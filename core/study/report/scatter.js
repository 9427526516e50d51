/* scatter.js - accuracy against what a method costs, on a logarithmic axis broken for what costs nothing. */
(function(R) {
'use strict';

const range = (m) => R.methods[m].parameters_range;
const cost = (key) => (m, p) => p === null ?
    R.mean(R.packs.map((_, i) => (R.at(R.data.cost, m, i) || {})[key])) :
    (R.at(R.data.cost, m, p) || {})[key];
/* value(m, pack or null for all), how it is written, what its zero means */
const AXES = {
    parameters: {
        name: 'trainable parameters, without the head',
        value: (m) => R.methods[m].parameters,
        text: R.short,
        zero: 'head only',
        spread: range
    },
    parameters_head:
        {name: 'trainable parameters, with the head', value: R.withHead, text: R.short, zero: 'none'},
    train_seconds:
        {name: 'seconds of one final training', value: cost('train_seconds'), text: R.seconds, zero: 'none'},
    stored_bytes: {
        name: 'bytes stored for one trained method',
        value: cost('stored_bytes'),
        text: R.bytes,
        zero: 'none'
    },
    device_bytes: {name: 'peak device memory', value: cost('device_bytes'), text: R.bytes, zero: 'none'},
    host_bytes: {name: 'peak host memory', value: cost('host_bytes'), text: R.bytes, zero: 'none'},
};

/* accuracy of a method: overall, over a group, or on a pack */
const inGroup = (g, m) =>
    ({value: (g.means || [])[m], low: (g.low || [])[m], high: (g.high || [])[m], pack: null});
function accuracyOf(y, m) {
    const [kind, index] = y.split(':'), o = R.overall;
    if (kind === 'overall')
        return {value: (o.mean || [])[m], low: (o.low || [])[m], high: (o.high || [])[m], pack: null};
    if (kind === 'group')
        return inGroup(R.groups[+index], m);
    const c = R.cell(m, +index);
    return {value: c.mean, low: c.low, high: c.high, pack: +index};
}

/* 1, 2, 5 in each decade where there is room, else powers of ten */
function logTicks(low, high) {
    const decades = Math.log10(high / low),
          steps = decades < 1.6 ? [1, 2, 5] :
        decades < 3             ? [1, 3] :
                                  [1],
          out = [];
    for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++)
        steps.forEach((s) => {
            const v = s * Math.pow(10, e);
            if (v >= low && v <= high)
                out.push(v);
        });
    return out.filter((_, i) => out.length < 9 || i % Math.ceil(out.length / 8) === 0);
}

/* Names beside their points, in one of eight places, rather not on a line; returns how many found none. */
function label(g, points, obstacles, width, height) {
    const taken = points.map((d) => [d.x - 6, d.y - 6, d.x + 6, d.y + 6]);
    const meets = (b) => (t) => b[0] < t[2] && b[2] > t[0] && b[1] < t[3] && b[3] > t[1];
    const inside = (b) => b[0] >= 0 && b[2] <= width && b[1] >= 0 && b[3] <= height;
    const places = [
        [8, -7, 'start'], [8, 16, 'start'], [-8, -7, 'end'], [-8, 16, 'end'], [10, 4, 'start'],
        [-10, 4, 'end'], [0, -10, 'middle'], [0, 19, 'middle']
    ];
    let lost = 0;
    points.forEach((d) => {
        const text = g.append('text').attr('class', 'name').text(R.methods[d.m].name);
        const w = text.node().getComputedTextLength() + 2, before = {start: 0, middle: w / 2, end: w};
        const boxes = places.map((p) => {
            const left = d.x + p[0] - before[p[2]];
            return [left, d.y + p[1] - 10, left + w, d.y + p[1] + 2];
        });
        const free = (avoid) => boxes.findIndex((b) => inside(b) && !taken.concat(avoid).some(meets(b)));
        const best = free(obstacles), at = best >= 0 ? best : free([]);
        if (at < 0) {
            text.remove();
            lost++;
            return;
        }
        taken.push(boxes[at]);
        text.attr({x: d.x + places[at][0], y: d.y + places[at][1], 'text-anchor': places[at][2]});
    });
    return lost;
}

/* What no method beats that costs as little, cheapest first. */
function paretoFront(points) {
    const front = [];
    points.slice().sort((a, b) => a.cost - b.cost || b.a.value - a.a.value).forEach((d) => {
        if (!front.length || d.a.value > front[front.length - 1].a.value)
            front.push(d);
    });
    return front;
}

/* Scales and places: a zone at the left for what costs nothing, then the logarithmic axis. */
function layout(points, axis, width) {
    const positive = points.filter((d) => d.cost > 0), free = points.filter((d) => !(d.cost > 0));
    const o =
        {left: 46, top: 26, right: width - 14, height: Math.round(Math.max(320, Math.min(480, width * 0.5)))};
    o.bottom = o.height - 44;
    o.zone = !free.length ? 0 : positive.length ? Math.min(84, width / 6) : o.right - o.left;
    o.broken = free.length > 0 && positive.length > 0;
    points.forEach((d) => {
        const s = axis.spread && d.a.pack === null && d.cost > 0 ? axis.spread(d.m) : null;
        d.spread = s && s[0] > 0 && s[1] > s[0] ? s : null;
    });
    const low = d3.min(positive, (d) => d.spread ? Math.min(d.cost, d.spread[0]) : d.cost) || 1;
    const high = d3.max(positive, (d) => d.spread ? Math.max(d.cost, d.spread[1]) : d.cost) || 10;
    o.x = d3.scale.log().domain([low / 1.35, high * 1.5]).range([
        o.left + o.zone + (free.length ? 14 : 0), o.right
    ]);
    o.ticks = positive.length ? logTicks(low / 1.35, high * 1.5) : [];
    const least = d3.min(points, (d) => R.is(d.a.low) ? d.a.low : d.a.value);
    const most = d3.max(points, (d) => R.is(d.a.high) ? d.a.high : d.a.value),
          pad = Math.max(0.004, (most - least) * 0.07);
    o.y = d3.scale.linear().domain([least - pad, most + pad]).range([o.bottom, o.top]);
    points.forEach((d) => {
        d.x = d.cost > 0 ? o.x(d.cost) : o.left + o.zone / 2;
        d.y = o.y(d.a.value);
    });
    free.forEach((d, i) => { /* several that cost nothing stand side by side */
                             d.x += (i - (free.length - 1) / 2) * Math.min(14, o.zone / (free.length + 1));
    });
    return o;
}

function frame(svg, o, axis) {
    const digits = o.y.domain()[1] - o.y.domain()[0] < 0.05 ? 1 : 0;
    R.axisY(svg, R.ticks(o.y, 6, (v) => R.percent(v, digits)), o.left, o.right, 'test accuracy, %');
    R.axisX(svg, o.ticks.map((v) => [o.x(v), axis.text(v)]), o.bottom, o.top, axis.name, o.right);
    if (o.zone) {
        svg.append('rect').attr(
            {x: o.left, y: o.top, width: o.zone, height: o.bottom - o.top, class: 'zone'});
        svg.append('text')
            .attr({x: o.left + o.zone / 2, y: o.bottom + 15, 'text-anchor': 'middle', class: 'tick'})
            .text('0 · ' + axis.zero);
    }
    svg.append('line').attr({x1: o.left, x2: o.right, y1: o.bottom, y2: o.bottom, class: 'base'});
    if (o.broken)
        svg.append('path').attr(
            {d: 'M' + (o.left + o.zone + 4) + ',' + (o.bottom + 5) + 'l4,-10h4l-4,10z', class: 'break'});
}

function drawBars(svg, o, points) {
    const g = svg.append('g').attr('class', 'bars');
    const bar = (d, x1, x2, y1, y2, kind) =>
        g.append('line').attr({x1, x2, y1, y2, class: kind}).style('stroke', R.colour(d.m));
    points.forEach((d) => {
        if (R.is(d.a.low))
            bar(d, d.x, d.x, o.y(d.a.low), o.y(d.a.high), null);
        if (d.spread)
            bar(d, o.x(d.spread[0]), o.x(d.spread[1]), d.y, d.y, 'thin');
    });
}

function spec(d, axis, best) {
    const rows = [
        ['accuracy', R.percent(d.a.value, 2) + '\u00a0%'],
        [R.level + ' interval', R.interval(d.a.low, d.a.high, 2) || 'none computed'],
        [axis.name, axis.text(d.cost)]
    ];
    if (d.spread)
        rows.push(['lowest and highest over packs', R.short(d.spread[0]) + ' to ' + R.short(d.spread[1])]);
    return {title: R.methods[d.m].name, rows, note: best ? 'On the Pareto line.' : ''};
}

function draw(host, width, choice) {
    const axis = AXES[choice.x],
          points = R.shownMethods()
                       .map((m) => {
                           const a = accuracyOf(choice.y, m);
                           return {m, a, cost: axis.value(m, a.pack)};
                       })
                       .filter((d) => R.is(d.a.value) && R.is(d.cost));
    if (!points.length)
        return host.appendChild(
            R.nothing('No shown method has both an accuracy here and a value of this cost.'));
    const o = layout(points, axis, width), front = paretoFront(points),
          onFront = (d) => front.indexOf(d) >= 0;
    const svg = R.svg(
        host, width, o.height, 'Accuracy against ' + axis.name + ', ' + R.plural(points.length, 'method'));
    frame(svg, o, axis);
    const corners = front.map((d) => [d.x, d.y]).concat([[o.right, front[front.length - 1].y]]);
    svg.append('path').attr({class: 'pareto', d: d3.svg.line().interpolate('step-after')(corners)});
    drawBars(svg, o, points);
    const byX = points.slice().sort((a, b) => a.x - b.x);
    const marks = svg.append('g').selectAll('path').data(byX).enter().append('path').attr({
        class: 'mark point',
        d: (d) => R.symbol(d.m, 82),
        transform: (d) => 'translate(' + d.x + ',' + d.y + ')'
    });
    marks.style('fill', (d) => R.colour(d.m)).each(function(d) {
        R.tip(this, spec(d, axis, onFront(d)), true);
    });
    R.rove(svg.node(), [marks[0]]);
    const steps = front.map((d, i) => [d.x, d.y - 1, corners[i + 1][0], d.y + 1])
                      .concat(front.slice(1).map((d, i) => [d.x - 1, d.y, d.x + 1, front[i].y]));
    const first = byX.filter(onFront).concat(byX.filter((d) => !onFront(d)));
    if (label(svg.append('g'), first, steps, width, o.bottom))
        R.legend(host, R.ordered(points.map((d) => d.m)));
}

R.drawScatter = () => {
    const body = R.section(
        'tradeoff', 'Accuracy against cost',
        'Each mark is a method, higher is better, further left is cheaper; the horizontal axis is ' +
            'logarithmic and broken where something costs nothing. Upright bars are ' + R.level +
            ' bootstrap intervals over seeds and images, flat ones the range of parameters over packs. ' +
            'The stepped line joins methods that no cheaper one beats.',
        'whether two methods differ (bars may overlap and the paired difference still be clear: see the ' +
            'pairwise comparison); the vertical axis does not begin at zero; the line ignores the intervals.');
    if (!R.hasAccuracy)
        return body.appendChild(R.nothing(
            'There is no accuracy to draw: the test split is sealed. Cost alone is in its own section.'));
    const choice = {
        x: 'parameters',
        y: R.packs.length > 1 && (R.overall.mean || []).some(R.is) ?
            'overall' :
            'pack:' + R.packs.findIndex((_, p) => R.methods.some((__, m) => R.is(R.cell(m, p).mean)))
    };
    const controls = R.controls(body);
    let redraw = null;
    R.choice(controls, 'Across', Object.keys(AXES).map((k) => [k, AXES[k].name]), choice.x, (v) => {
        choice.x = v;
        redraw();
    });
    const single = R.packs.map((p, i) => ['pack:' + i, p.name]);
    const select =
        R.choice(
            controls, 'Upwards',
            R.packs.length > 1 ?
                [
                    ['overall', 'mean over all packs'],
                    [
                        'means of a group',
                        R.groups.length > 1 ? R.groups.map((g, i) => ['group:' + i, g.name]) : []
                    ],
                    ['packs', single]
                ].filter((o) => !Array.isArray(o[1]) || o[1].length) :
                single,
            choice.y, (v) => {
                choice.y = v;
                redraw();
            });
    /* the bar's packs move this figure too */
    let followed = R.state.packs;
    R.views.push(() => {
        if (R.state.packs !== followed)
            select.value = choice.y = R.state.packs === 'all' ? 'overall' : R.state.packs;
        followed = R.state.packs;
    });
    redraw = R.figure(body, 'tradeoff', 'Test accuracy and cost', (host, width) => draw(host, width, choice));
};
})(VitroReport);
