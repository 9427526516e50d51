/* agreement.js - how alike the answers of two methods are, against those of one method with two seeds. */
(function(R) {
'use strict';
const el = R.el;
const nameOf = (m) => R.methods[m].name;

const percent = (v) => R.percent(v) + '\u00a0%', third = (v) => R.fixed(v, 3);
const share = (v) => R.percent(v, 0), hundredth = (v) => R.fixed(v, 2).replace(/^0\./, '.');
/* independent errors taken away */
const beyond = (a, i, j) => {
    const both = R.at(a.same_label, i, j), chance = R.at(a.independent_same_label, i, j);
    return R.is(both) && R.is(chance) ? both - chance : null;
};
/* text: in a cell, long: in a tip, control: key of the diagonal, chance: key of what independence gives,
 * from: how it is computed where the document does not have it, alone: the diagonal is a method by itself */
const MEASURES = {
    same_label: {name: 'same label, % of images', control: 'same_method', text: share, long: percent},
    same_label_other_seed: {
        name: 'same label with different seeds, % of images',
        control: 'same_method',
        text: share,
        long: percent
    },
    beyond: {
        name: 'same label beyond independent errors, points',
        from: beyond,
        text: share,
        long: (v) => R.points(v) + '\u00a0points'
    },
    kappa: {name: 'Cohen’s kappa', control: 'same_method_kappa', text: hundredth, long: third},
    error_consistency: {name: 'error consistency (kappa of right and wrong)', text: hundredth, long: third},
    same_wrong: {name: 'same wrong label, % of what both get wrong', text: share, long: percent},
    confident_right: {
        name: 'right in the half each is surest of: Jaccard overlap',
        chance: 'confident_right_independent',
        text: hundredth,
        long: third
    },
    confident_wrong: {
        name: 'wrong in the half each is surest of: Jaccard overlap',
        chance: 'confident_wrong_independent',
        text: hundredth,
        long: third
    },
    oracle: {name: 'at least one of the two right, % of images', alone: true, text: share, long: percent},
};

/* Three means on one line: independent errors, two methods, two seeds of one method. */
function line(host, width, s) {
    const marks = [
        ['independent errors', s.independent], ['two methods', s.between],
        ['two methods, different seeds', s.between_other_seed], ['two seeds of one method', s.within]
    ];
    const list = marks.filter((m) => R.is(m[1])), W = Math.min(width, 860), row = 20, left = 192, top = 8;
    const bottom = top + list.length * row, ends = d3.extent(list, (m) => m[1]);
    const x =
        d3.scale.linear().domain([ends[0] - 0.02, Math.min(1, ends[1] + 0.02)]).nice(5).range([left, W - 20]);
    const svg =
        R.svg(host, W, bottom + 38, 'Same label: independent errors, two methods, two seeds of one method');
    R.axisX(svg, R.ticks(x, 5, share), bottom, top, 'same label, % of images, mean over packs', W - 20);
    R.rove(svg.node(), list.map((m, i) => {
        const y = top + (i + 0.5) * row;
        svg.append('text')
            .attr({x: left - 10, y, dy: '.34em', 'text-anchor': 'end', class: 'name'})
            .text(m[0]);
        svg.append('line').attr({x1: left, x2: x(m[1]), y1: y, y2: y, class: 'leader'});
        const dot = svg.append('circle')
                        .attr({cx: x(m[1]), cy: y, r: 5, class: 'mark point'})
                        .style('fill', 'var(--m4)');
        return [R.tip(dot.node(), {title: m[0], rows: [['same label', percent(m[1])]]}, true)];
    }));
}

function spec(a, how, v, i, j) {
    if (i === j && !R.is(v) && !how.control)
        return null;
    if (i === j)
        return {
            title: nameOf(i) + (how.alone ? ' alone' : ' with another seed'),
            rows: [[how.name, R.is(v) ? how.long(v) : 'not measured: one seed']],
            note: how.alone ? '' : 'The control.'
        };
    const of = (key, write) => R.is(R.at(a[key], i, j)) ? write(a[key][i][j]) : R.none,
          alone = a.same_method || [];
    const rows = [[how.name, R.is(v) ? how.long(v) : 'not measured']];
    if (how.chance)
        rows.push(['if independent', of(how.chance, how.long)]);
    rows.push(
        ['same label', of('same_label', percent)],
        ['if errors were independent', of('independent_same_label', percent)],
        ['other seeds of each', percent(alone[i]) + ', ' + percent(alone[j])],
        ['at least one right', of('oracle', percent)]);
    return {title: nameOf(i) + ' and ' + nameOf(j), rows};
}

function map(host, width, a, measure) {
    const how = MEASURES[measure], list = R.ordered(R.shownMethods());
    const value = (r, c) => {
        if (r === c && !how.alone)
            return how.control ? (a[how.control] || [])[list[r]] : null;
        return how.from ? how.from(a, list[r], list[c]) : R.at(a[measure], list[r], list[c]);
    };
    const rows = R.range(list.length),
          all = d3.merge(rows.map((r) => rows.map((c) => value(r, c)))).filter(R.is);
    if (!all.length)
        return host.appendChild(R.nothing('No value of this measure is there for the shown methods.'));
    const low = d3.min(all), high = d3.max(all), colour = R.sequential(low - 0.05 * (high - low), high);
    R.heatmap(host, Math.min(width, 980), {
        list,
        columns: list.map(nameOf),
        slant: true,
        label: 'Agreement: ' + how.name,
        value,
        colour,
        text: how.text,
        mark: (r, c) => r === c && R.is(value(r, c)) && !how.alone,
        quiet: () => true,
        tip: (r, c) => spec(a, how, value(r, c), list[r], list[c])
    });
    R.heatKey(host, colour, low, high, how.text, how.control ? 'dotted: control' : '');
}

R.drawAgreement = () => {
    const agreement = R.data.agreement || {}, packs = agreement.packs || [], s = agreement.summary || {};
    const body = R.section(
        'agreement', 'How alike the answers are',
        'Two methods of equal accuracy can still be right on different images. Each cell compares the ' +
            'answers of two methods on the same images; its diagonal is the control, one method against ' +
            'itself with another seed. Answers that differ no more than the control’s do not differ because ' +
            'of the methods; what two methods would share if their errors were independent, given their ' +
            'accuracies, is the least to expect.',
        'which images differ, and why. Agreement rises with accuracy by itself; kappa and error consistency ' +
            'take that out. Runs of one seed also share the order of the data, so that only the measure with ' +
            'different seeds compares like with like on the diagonal.');
    if (!packs.length || !agreement.mean)
        return body.appendChild(R.nothing('There are no answers on test images to compare.'));
    const gap = s.between_minus_within;
    if (R.is(gap)) {
        const ends = [s.between_minus_within_low, s.between_minus_within_high]
                         .map((v) => gap < 0 ? -v : v)
                         .sort(d3.ascending);
        body.appendChild(
            el('p', {}, 'With different seeds on both sides, two methods agree on ',
               el('b', {}, R.percent(Math.abs(gap)) + '\u00a0points'), ' ', R.interval(ends[0], ends[1]),
               gap < 0 ? ' fewer' : ' more',
               ' images than one method does with itself: this much is about the methods.'));
    }
    if (R.is(s.between))
        R.figure(
            body, 'agreement-mean', 'Same label, between its two ends',
            (host, width) => line(host, width, s));

    /* not every measure need be in the data */
    const measures = Object.keys(MEASURES).filter((k) => MEASURES[k].from || agreement.mean[k]);
    let measure = measures[0], where = 'mean', redraw = null;
    const controls = R.controls(body);
    R.choice(controls, 'Measure', measures.map((k) => [k, MEASURES[k].name]), measure, (v) => {
        measure = v;
        redraw();
    });
    const select = R.choice(controls, 'Pack', R.packOptions([['mean', 'mean over packs']]), where, (v) => {
        where = v;
        redraw();
    });
    R.followPack(select, (v) => {
        where = v;
    });
    redraw = R.figure(body, 'agreement', '', (host, width, title) => {
        const a = where === 'mean' ? agreement.mean : packs.find((q) => q.pack === +where);
        title(
            'Pairs: ' + MEASURES[measure].name + ', ' +
            (where === 'mean' ? 'mean over packs' : R.packs[+where].name));
        if (a)
            map(host, width, a, measure);
        else
            host.appendChild(R.nothing('This pack has no answers to compare.'));
    });
};
})(VitroReport);
