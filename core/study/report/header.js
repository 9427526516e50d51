/* header.js - what was compared, whether the protocol held, what came out, and the bar of filters. */
(function(R) {
'use strict';
const el = R.el, study = R.study, report = document.getElementById('report');

const NAMES = {
    sealed_test: 'Sealed test split',
    equal_budget: 'Equal budget',
    seeds: 'Seeds',
    one_fingerprint: 'One fingerprint a pack',
    complete: 'Complete',
    ledger: 'Ledger',
    unedited: 'Unedited'
};

const devices = () => {
    const seen = [];
    (R.data.cost || []).forEach((row) => (row || []).forEach((c) => {
        if (c && c.device && seen.indexOf(c.device) < 0)
            seen.push(c.device);
    }));
    return seen;
};

const hash = (digits, what) => {
    const code = R.hash(digits, what);
    code.setAttribute('tabindex', 0);
    return code;
};

function facts() {
    const backbone = study.backbone || {}, list = devices();
    const sizes = [
        R.plural(R.methods.length, 'method'), R.plural(R.packs.length, 'pack'),
        R.plural(R.seeds.length, 'seed')
    ];
    const refits = {trainval: 'trained again on train and val together', train: 'trained on train alone'};
    const created = study.created ? String(study.created).replace('T', ' ').replace('Z', ' UTC') : R.none;
    const rows = [
        [
            'Backbone',
            [
                backbone.name || R.none, ' ',
                backbone.sha256 ? hash(backbone.sha256, 'SHA-256 of the backbone’s weights') : null
            ]
        ],
        ['Compared', sizes.join(' × ')],
        ['Search', study.strategy || R.none],
        ['Final runs', refits[study.refit] || R.none],
        [
            list.length > 1 ? 'Devices' : 'Device',
            list.length ? list.map((d) => el('div', {}, d)) : 'not recorded'
        ],
        ['Recipe', study.recipe ? hash(study.recipe, 'SHA-256 of the recipe') : R.none],
        ['Made', created + (study.vitro ? ', Vitro ' + study.vitro : '')],
    ];
    return el('dl', {class: 'facts'}, rows.map((r) => el('div', {}, el('dt', {}, r[0]), el('dd', {}, r[1]))));
}

/* Of the trials of the search, and of the final runs where these are counted apart. */
function counts() {
    const c = study.counts || {};
    const list = [
        ['trials', c.trials], ['done', c.done], ['diverged', c.diverged, c.diverged > 0],
        ['failed', c.failed, c.failed > 0], ['missing', c.missing, c.missing > 0],
        ['test openings', c.openings]
    ];
    if (R.is(c.results))
        list.push(['final runs', c.results], ['of them done', c.results_done, c.results_done < c.results]);
    const item = (k) =>
        el('li', {class: k[2] ? 'bad' : null}, el('b', {}, R.count(k[1])), el('span', {}, k[0]));
    return el('ul', {class: 'counts', 'aria-label': 'Counts'}, list.map(item));
}

function badges() {
    const list = R.data.badges || [], bad = list.filter((b) => !b.ok).length, n = list.length;
    if (!n)
        return null;
    const item = (b) =>
        el('li', {class: b.ok ? 'ok' : 'broken'},
           el('span', {class: 'sign', 'aria-hidden': 'true'}, b.ok ? '✓' : '✕'),
           el('div', {}, el('b', {}, NAMES[b.id] || b.id),
              el('span', {class: 'verdict'}, b.ok ? 'ok' : 'not ok'), el('p', {}, b.text)));
    const aside = bad ? bad + ' of ' + n + ' points did not hold' : 'all ' + n + ' points held';
    return [
        el('h3', {}, 'Protocol', el('span', {class: 'aside'}, aside)),
        el('ul', {class: 'badges'}, list.map(item))
    ];
}

function flags() {
    const list = (R.data.flags || []).map(R.sentence);
    if (!list.length)
        return null;
    const text = list.length > 1 ? el('ul', {}, list.map((f) => el('li', {}, f))) : el('p', {}, list[0]);
    return el(
        'div', {class: 'flags', role: 'note', 'aria-label': 'Warnings'}, el('b', {}, 'Before you read on'),
        text);
}

const names = (list) => list.map(
    (m, i) =>
        [i === 0                   ? null :
             i === list.length - 1 ? ' and ' :
                                     ', ',
         el('em', {}, R.methods[m].name)]);
const span = (values) => R.percent(d3.min(values)) + ' to ' + R.percent(d3.max(values)) + '\u00a0%';

/* The best set in words. */
function verdict(means) {
    const best = R.ordered(R.overall.best || []), values = best.map((m) => R.overall.mean[m]);
    if (means.length < 2)
        return [
            'One method has a result on every pack: ',
            names(R.ordered(R.range(R.methods.length)).slice(0, 1)),
            ', ' + R.percent(means[0]) + '\u00a0% on average. There is nothing to compare it with.'
        ];
    const packs = R.overall.packs || R.packs; /* those that some method has completed */
    const where = 'On the mean of ' + R.plural(packs.length, 'pack') + ', ';
    const all = ' The means of all methods span ' + span(means) + '.';
    if (!best.length)
        return [where, 'no best set was computed.', all];
    if (best.length === 1)
        return [
            where, names(best),
            ' (' + R.percent(values[0]) +
                '\u00a0%) is ahead of every other method by more than chance explains.',
            all
        ];
    if (best.length === means.length)
        return [
            where,
            'none of the ' + best.length + ' methods can be told from the best: their means span ' +
                span(values) + '.'
        ];
    return [where, names(best), ' cannot be told apart from the best (means ' + span(values) + ').', all];
}

function glance() {
    if (!R.hasAccuracy)
        return el(
            'div', {class: 'glance sealed'}, el('b', {}, 'The test split is still sealed. '),
            'No accuracy on test images is in this report, and nothing is ranked. Below are the search on validation ' +
                'images, its cost and the open runs.');
    const means = (R.overall.mean || []).filter(R.is),
          lacking = R.range(R.methods.length).filter((m) => !R.is((R.overall.mean || [])[m]));
    if (!means.length)
        return el(
            'div', {class: 'glance'},
            'No method has a result on every pack, so no overall mean is given: means over ' +
                'different packs must not be compared.');
    const who = lacking.length > 4 ? 'Another ' + R.plural(lacking.length, 'method') : names(lacking);
    const rest = lacking.length > 1 ? ' lack a result on some pack and have no mean.' :
                                      ' lacks a result on some pack and has no mean.';
    return el('div', {class: 'glance'}, verdict(means), lacking.length ? [' ', who, rest] : null);
}

R.drawHeader = () => {
    const name = study.name || 'unnamed study';
    document.title = name + ' – Vitro report';
    R.add(report, [
        el('header', {id: 'top'}, el('p', {class: 'kicker'}, 'Vitro · comparison of fine-tuning methods'),
           el('h1', {}, name), flags(), glance(), el('div', {class: 'columns'}, facts(), counts()), badges())
    ]);
};

/* ---- the bar ---- */

/* One part that cannot be drawn says so and leaves the others standing. */
R.attempt = (draw) => {
    try {
        draw();
    } catch (e) {
        console.error(e);
        const text = 'A part of this page could not be drawn (' + e.message +
            '). The data is whole; see JSON below the table.';
        if (!document.getElementById('broken'))
            report.insertBefore(
                el('p', {id: 'broken', class: 'flags', role: 'alert'}, text), report.firstChild);
    }
};
const redrawAll = () => {
    R.hideTip();
    R.views.forEach(R.attempt);
};
R.redrawAll = redrawAll;

R.setTheme = (theme) => {
    R.state.theme = theme;
    const wanted = theme === 'auto' ?
        (window.matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light') :
        theme;
    const changed = wanted !== document.documentElement.getAttribute('data-theme');
    document.documentElement.setAttribute('data-theme', wanted);
    return changed;
};

R.drawBar = () => {
    const bar = document.getElementById('bar');
    let waiting = null;
    const shown = el('span', {class: 'shown'}),
          clear =
              el('button', {
                  type: 'button',
                  class: 'quiet',
                  hidden: true,
                  click: () => {
                      text.value = '';
                      packs.value = 'all';
                      choose();
                  }
              },
                 'show all');
    const choose = () => {
        R.state.text = text.value;
        R.state.packs = packs.value;
        const m = R.shownMethods().length, p = R.shownPacks().length;
        shown.textContent = m + ' of ' + R.plural(R.methods.length, 'method') + ', ' + p + ' of ' +
            R.plural(R.packs.length, 'pack');
        clear.hidden = m === R.methods.length && p === R.packs.length;
        R.say('Showing ' + shown.textContent);
        redrawAll();
    };
    const text = el('input', {
        type: 'search',
        id: 'filter',
        placeholder: 'e.g. lora vpt',
        autocomplete: 'off',
        spellcheck: 'false',
        input: () => {
            clearTimeout(waiting);
            waiting = setTimeout(choose, 150);
        }
    });
    const single = R.packs.map((p, i) => ['pack:' + i, p.name]);
    R.add(bar, [
        el('b', {class: 'name'}, study.name || 'Vitro report'),
        el('label', {}, el('span', {}, 'Methods'), text)
    ]);
    const packs = R.choice(
        bar, 'Packs',
        [['all', 'all packs']].concat(
            R.groups.length > 1 ? [['groups', R.groups.map((g, i) => ['group:' + i, g.name])]] : [],
            single.length > 1 ? [['packs', single]] : []),
        'all', choose);
    R.add(bar, [shown, clear]);
    R.choice(
        bar, 'Theme', [['auto', 'as the system'], ['light', 'light'], ['dark', 'dark']], 'auto',
        (v) => R.setTheme(v) && redrawAll());
    shown.textContent = R.plural(R.methods.length, 'method') + ', ' + R.plural(R.packs.length, 'pack');
};
})(VitroReport);
