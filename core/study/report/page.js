/* page.js - puts the sections in order, and draws again when the window, the theme or the paper changes. */
(function(R) {
'use strict';
const el = R.el;

/* hatching for what is not there */
d3.select(document.body)
    .append('svg')
    .attr({width: 0, height: 0, 'aria-hidden': 'true', class: 'unseen'})
    .append('defs')
    .append('pattern')
    .attr({id: 'hatch', width: 6, height: 6, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)'})
    .append('line')
    .attr({x1: 0, y1: 0, x2: 0, y2: 6, class: 'hatching'});

R.setTheme('auto');
[R.drawHeader, R.drawBar, R.drawTable, R.drawScatter, R.drawRanks, R.drawPairs, R.drawAgreement,
 R.drawEnsembles, R.drawCalibration, R.drawShifts, R.drawWise, R.drawTuning, R.drawCost, R.drawMaterial, R.drawLedger, R.drawResults]
    .forEach(R.attempt);
R.add(
    document.getElementById('foot'),
    [el('p', {},
        'Made by Vitro ' + (R.study.vitro || '') +
            ' from stored logits; this file holds all of its data and asks nothing of the network. ' +
            'Figures are drawn with D3 (© 2010–2016 Michael Bostock, BSD licence, ' +
            'whose text is in the source of this page). Colours: Okabe and Ito; cividis.')]);
R.redrawAll();

window.matchMedia('(prefers-color-scheme: dark)')
    .addListener(() => R.state.theme === 'auto' && R.setTheme('auto') && R.redrawAll());
let waiting = null, width = window.innerWidth;
window.addEventListener('resize', () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
        if (window.innerWidth !== width)
            R.redrawAll();
        width = window.innerWidth;
    }, 200);
});
/* paper is white */
let before = null;
window.addEventListener('beforeprint', () => {
    before = R.state.theme;
    if (R.setTheme('light'))
        R.redrawAll();
});
window.addEventListener('afterprint', () => before && R.setTheme(before) && R.redrawAll());

/* the contents show where one is */
if (window.IntersectionObserver) {
    const links = Array.from(document.querySelectorAll('#contents a'));
    const mark = (id) => links.forEach((a) => {
        if (a.getAttribute('href') === '#' + id)
            a.setAttribute('aria-current', 'location');
        else
            a.removeAttribute('aria-current');
    });
    const look = (entries) => entries.filter((e) => e.isIntersecting).forEach((e) => mark(e.target.id));
    const seen = new IntersectionObserver(look, {rootMargin: '-20% 0px -70% 0px'});
    document.querySelectorAll('main section').forEach((s) => seen.observe(s));
}
})(VitroReport);
