/* ranks.js - how often a method had each rank, on the packs and among bootstrap replicates. */
(function(R) {
'use strict';
const el = R.el;
const panel = (host, title) => host.appendChild(el('div', {class: 'panel'}, el('h4', {}, title)));
const nameOf = (m) => R.methods[m].name;

/* Rows of methods that are not complete are null, or made of nulls. */
function packsAtRank(host, width, g, list, columns) {
    const of = (r, c) => R.at(g.frequency, list[r], c), sum = (m) => d3.sum(g.frequency[m] || []);
    const mean = (r, digits) => R.fixed((g.mean_rank || [])[list[r]], digits);
    const total = d3.max(list, sum) || 0, most = d3.max(list, (m) => d3.max(g.frequency[m] || [])) || 1;
    const colour = R.sequential(0, most);
    const left =
        panel(host, 'Packs at each rank, ' + R.groupName(g.name) + ' (' + R.plural(total, 'pack') + ')');
    R.heatmap(left, width, {
        list,
        columns,
        label: 'Packs at each rank, ' + g.name,
        across: 'rank',
        aside: (r) => mean(r, 1),
        value: (r, c) => of(r, c) || null,
        colour,
        text: (v) => String(v),
        tip: (r, c) => ({
            title: nameOf(list[r]) + ', rank ' + (c + 1),
            rows: [['packs', (of(r, c) || 0) + ' of ' + total], ['mean rank', mean(r, 2)]]
        })
    });
    R.heatKey(left, colour, 0, most, (v) => String(v), 'packs');
}

function replicatesAtRank(host, width, share, list, columns) {
    const of = (r, c) => R.at(share, list[r], c), colour = R.sequential(0, 1);
    const right = panel(host, 'Share of bootstrap replicates, overall mean');
    R.heatmap(right, width, {
        list,
        columns,
        label: 'Share of bootstrap replicates at each rank',
        across: 'rank',
        value: (r, c) => of(r, c) > 0 ? of(r, c) : null,
        colour,
        text: (v) => v < 0.005 ? '' : R.percent(v, 0),
        tip: (r, c) => ({
            title: nameOf(list[r]) + ', rank ' + (c + 1),
            rows: [['replicates', R.percent(of(r, c)) + '\u00a0%']]
        })
    });
    R.heatKey(right, colour, 0, 1, (v) => R.percent(v, 0) + '\u00a0%', 'of replicates');
}

function maps(host, width, g, share) {
    const list = R.sorted(R.shownMethods(), (m) => (g.mean_rank || [])[m]),
          columns = R.methods.map((_, r) => String(r + 1));
    const place = el('div', {class: 'panels'}), each = width > 760 ? width / 2 - 14 : width;
    if (!list.length)
        return;
    host.appendChild(place);
    packsAtRank(place, each, g, list, columns);
    if (share && share.length)
        replicatesAtRank(place, each, share, list, columns);
}

R.drawRanks = () => {
    const ranks = R.data.ranks || {}, groups = ranks.groups || [];
    const body = R.section(
        'ranks', 'How often each rank',
        'Rank 1 is the best accuracy on a pack. Left: on how many packs a method had each rank, best ' +
            'mean rank on top. Right: the share of bootstrap replicates (packs, seeds and images drawn anew) ' +
            'in which its overall mean had each rank. A method that is reliably good is strong at the ' +
            'left end of its row and empty elsewhere; a row spread wide on the right means that its ' +
            'place is not settled.',
        'how large the differences are: neighbours in rank may be a tenth of a point apart.');
    if (!groups.length)
        return body.appendChild(R.nothing('There are no ranks without accuracies on test images.'));
    if (R.methods.length < 2)
        return body.appendChild(R.nothing('One method alone has no rank.'));
    const f = ranks.friedman;
    body.appendChild(
        el('p', {},
           f ?
               [
                   'Friedman’s test that all methods rank alike: χ² = ', R.fixed(f.chi2, 1), ', p ',
                   R.p(f.p).charAt(0) === '<' ? '' : '= ', R.p(f.p), '.',
                   f.p < R.alpha ? ' Some methods differ; which ones, the pairwise comparison says.' :
                                   ' The ranks are compatible with methods that do not differ.'
               ] :
               'Friedman’s test needs more methods or packs than there are.'));
    let chosen = 0, redraw = null;
    const controls = R.controls(body);
    const select = groups.length > 1 ?
        R.choice(
            controls, 'Packs', groups.map((g, i) => [String(i), R.groupName(g.name)]), '0',
            (v) => {
                chosen = +v;
                redraw();
            }) :
        null;
    let followed = R.state.packs;
    R.views.push(() => {
        const [kind, index] = R.state.packs.split(':'),
                     i = kind === 'group' ? groups.findIndex((g) => g.name === R.groups[+index].name) : 0;
        if (select && R.state.packs !== followed && i >= 0)
            select.value = String(chosen = i);
        followed = R.state.packs;
    });
    redraw =
        R.figure(body, 'ranks', 'Ranks', (host, width) => maps(host, width, groups[chosen], ranks.bootstrap));
};
})(VitroReport);
