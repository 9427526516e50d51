/* page_prelude.js - runs before the page's own scripts, in copies made by test_report_page.sh: hears every complaint. */
window.problems = [];
window.addEventListener('error', (e) => window.problems.push('error: ' + e.message + ' at line ' + e.lineno));
window.addEventListener('unhandledrejection', (e) => window.problems.push('rejection: ' + e.reason));
document.addEventListener(
    'securitypolicyviolation', (e) => window.problems.push('blocked: ' + e.violatedDirective));
['error', 'warn'].forEach((kind) => {
    console[kind] = (...what) => window.problems.push('console.' + kind + ': ' + what.join(' '));
});
