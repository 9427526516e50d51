/* pairs.js - each pair of methods: difference, probability of improvement, tests. */
(function(R) {
'use strict';
const el = R.el, pairs = R.data.pairs || [];
const nameOf = (m) => R.methods[m].name;

/* A pair seen from its first method: the document has each pair once, a before b. */
function view(pair, sign) {
    const flip = (v) => R.is(v) ? sign * v : null, tests = pair.mcnemar || [];
    const seen = {
        difference: flip(pair.difference),
        interval: sign > 0 ? R.interval(pair.low, pair.high) : R.interval(flip(pair.high), flip(pair.low)),
        chance: sign > 0 || !R.is(pair.improvement) ? pair.improvement : 1 - pair.improvement,
        p: pair.p,
        holm: pair.p_holm
    };
    /* images that only this one, only the other had right; null: not tested on this pack */
    seen.test = (p) => {
        const t = tests[p];
        if (!t || !R.is(t.b))
            return null;
        return {only: sign > 0 ? [t.b, t.c] : [t.c, t.b], p: t.p, holm: t.p_holm, seed: String(t.seed)};
    };
    return seen;
}
const views = {};
pairs.forEach((pair) => {
    views[pair.a + ',' + pair.b] = view(pair, 1);
    views[pair.b + ',' + pair.a] = view(pair, -1);
});
const of = (a, b) => views[a + ',' + b] || null;
const paired = (list) => R.ordered(list.filter((m) => pairs.some((q) => q.a === m || q.b === m)));

/* One method far behind must not take all the colour. */
const sizes = pairs.map((q) => Math.abs(q.difference)).filter(R.is).sort(d3.ascending);
const strong = Math.max(0.005, d3.quantile(sizes, 0.85) || 0);

/* value(view, pack) in -most .. most; p(view, pack) for the dot; ends of the key */
const MEASURES = {
    difference: {
        name: 'difference of the overall means, points',
        most: strong,
        value: (v) => v.difference,
        text: (v) => R.points(v.difference),
        p: (v) => v.holm,
        ends: (v) => (v < 0 ? '≤ ' : '≥ ') + R.points(v),
        key: 'difference'
    },
    improvement: {
        name: 'probability of improvement, %',
        most: 0.5,
        value: (v) => R.is(v.chance) ? v.chance - 0.5 : null,
        text: (v) => R.percent(v.chance, 0),
        p: (v) => v.holm,
        ends: (v) => R.percent(v + 0.5, 0) + '\u00a0%',
        key: 'of replicates'
    },
    mcnemar: {
        name: 'McNemar on one pack: images that only one had right',
        most: 1,
        value: (v, p) => {
            const t = v.test(p);
            return t ? (t.only[0] - t.only[1]) / Math.max(1, t.only[0] + t.only[1]) : null;
        },
        text: (v, p) => v.test(p).only.join(':'),
        p: (v, p) => v.test(p) ? v.test(p).holm : null,
        ends: (v) => v < 0 ? 'column' : 'row',
        key: 'who is ahead'
    },
};

function spec(a, b, v, pack) {
    const rows = [
        ['difference', R.points(v.difference) + ' ' + v.interval],
        ['p after Holm', R.p(v.holm)],
        ['probability of improvement', R.percent(v.chance, 0) + '\u00a0%'],
    ];
    const t = pack === null ? null : v.test(pack);
    if (t)
        rows.push(
            ['only one right, ' + R.packs[pack].name, t.only.join(' : ')],
            ['McNemar’s p after Holm', R.p(t.holm)]);
    return {title: nameOf(a) + ' − ' + nameOf(b), rows, note: 'Choose it for all packs.'};
}

function map(host, width, measure, pack, chosen) {
    const list = paired(R.shownMethods()), how = MEASURES[measure];
    if (list.length < 2)
        return;
    const at = (r, c) => of(list[r], list[c]), colour = R.diverging(how.most);
    R.heatmap(host, Math.min(width, 980), {
        list,
        columns: list.map(nameOf),
        slant: true,
        label: 'Pairs of methods: ' + how.name,
        value: (r, c) => at(r, c) ? how.value(at(r, c), pack) : null,
        colour,
        text: (v, r, c) => how.text(at(r, c), pack),
        mark: (r, c) => {
            const p = at(r, c) ? how.p(at(r, c), pack) : null;
            return R.is(p) && p < R.alpha;
        },
        quiet: (r, c) => r !== c,
        tip: (r, c) =>
            at(r, c) ? spec(list[r], list[c], at(r, c), measure === 'mcnemar' ? pack : null) : null,
        chosen: (r, c) => chosen(list[r], list[c])
    });
    R.heatKey(host, colour, -how.most, how.most, how.ends, how.key);
}

/* All that is known of one pair. */
function detail(host, a, b) {
    const v = of(a, b), tested = R.shownPacks().filter((p) => v.test(p));
    const heads =
        ['pack', 'only ' + nameOf(a) + ' right', 'only ' + nameOf(b) + ' right', 'p', 'p, Holm', 'seed'];
    const row = (p) => {
        const t = v.test(p), holm = el(t.holm < R.alpha ? 'b' : 'span', {}, R.p(t.holm));
        const cells = [R.count(t.only[0]), R.count(t.only[1]), R.p(t.p), holm, t.seed];
        return el(
            'tr', {}, el('th', {scope: 'row'}, R.packs[p].name),
            cells.map((c) => el('td', {class: 'number'}, c)));
    };
    R.clear(host);
    host.appendChild(el('h4', {}, nameOf(a) + ' against ' + nameOf(b)));
    host.appendChild(
        el('p', {}, 'Difference of the overall means ', el('b', {}, R.points(v.difference) + '\u00a0points'),
           ' ' + v.interval + ', p = ' + R.p(v.p), ', after Holm ' + R.p(v.holm),
           '; ahead in ' + R.percent(v.chance, 0) + '\u00a0% of replicates.'));
    if (!tested.length)
        return;
    const head = el('tr', {}, heads.map((t, i) => el('th', {scope: 'col', class: i ? 'number' : null}, t)));
    const table =
        el('table', {}, el('caption', {}, 'McNemar’s exact test, pack by pack'), el('thead', {}, head),
           el('tbody', {}, tested.map(row)));
    host.appendChild(R.scroll('McNemar’s test for each pack', table));
}

R.drawPairs = () => {
    const body = R.section(
        'pairs', 'Each pair of methods',
        'Row minus column: blue where the row’s method is ahead, vermilion where it is behind. A dot marks ' +
            'differences that remain after Holm’s adjustment for all pairs (p < ' + R.alpha +
            '). Choose a cell for its ' +
            'interval, p-value and, pack by pack, McNemar’s exact test, which counts the images that only ' +
            'one of the two had right.',
        'that pairs without a dot are equal: the data may be too few to tell. McNemar’s test looks at one ' +
            'seed, so it speaks about two trained models rather than two methods.');
    if (!pairs.length)
        return body.appendChild(R.nothing(
            R.methods.length < 2 ?
                'A pair needs two methods.' :
                'No pair can be compared: that takes accuracies of two methods on the same packs.'));
    let measure = 'difference', pack = 0, picked = paired(R.range(R.methods.length)).slice(0, 2),
        redraw = null;
    const controls = R.controls(body), more = el('div', {class: 'detail', 'aria-live': 'polite'});
    R.choice(controls, 'Show', Object.keys(MEASURES).map((k) => [k, MEASURES[k].name]), measure, (v) => {
        measure = v;
        select.disabled = v !== 'mcnemar';
        redraw();
    });
    const select = R.choice(controls, 'Pack', R.packOptions(), '0', (v) => {
        pack = +v;
        redraw();
    });
    select.disabled = true;
    R.followPack(select, (v) => {
        pack = +v;
    });
    const show = () => of(picked[0], picked[1]) ? detail(more, picked[0], picked[1]) : 0;
    redraw = R.figure(body, 'pairs', '', (host, width, title) => {
        title(
            'Row against column: ' + MEASURES[measure].name +
            (measure === 'mcnemar' ? ', ' + R.packs[pack].name : ''));
        map(host, width, measure, pack, (a, b) => {
            picked = [a, b];
            show();
        });
    });
    body.appendChild(more);
    R.views.push(show);
};
})(VitroReport);
