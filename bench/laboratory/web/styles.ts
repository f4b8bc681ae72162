/** The form above the results. */
export const formStyles = `
[hidden]{display:none!important}
.fields{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,15rem),1fr));gap:.9rem 1.4rem;align-items:end}
.fields label{display:grid;gap:.25rem;font-size:.92rem}
.fields .choice{grid-template-columns:auto 1fr;align-items:center}
.fields :is(select,input:not([type=checkbox])){font:inherit}
.fields :is(select,input:not([type=checkbox]),textarea){width:100%;padding:.4rem .5rem;color:var(--ink);background:var(--panel);border:1px solid var(--line);border-radius:.4rem}
.fields textarea{font:13px/1.45 ui-monospace,monospace;resize:vertical}
.fields :is(.wide,.buttons,fieldset){grid-column:1/-1}
fieldset{display:flex;flex-wrap:wrap;gap:.5rem 1.4rem;min-width:0;margin:0;padding:.5rem .9rem .8rem;border:1px solid var(--line);border-radius:.5rem}
.buttons{display:flex;flex-wrap:wrap;gap:1rem;align-items:center}
.buttons button{padding:.5rem 1.6rem;font:inherit;font-weight:600;color:var(--panel);background:var(--ink);border:0;border-radius:.45rem;cursor:pointer}
.buttons button:disabled{opacity:.5;cursor:default}
:is(select,textarea):focus-visible{outline:3px solid var(--mark);outline-offset:1px}
#status{min-height:1.5em;color:var(--soft);overflow-wrap:anywhere}
#error{white-space:pre-wrap;overflow-wrap:anywhere;padding:.7rem .9rem;border:1px solid var(--bad);border-left-width:5px;border-radius:.5rem;font:13px/1.5 ui-monospace,monospace}
`.replaceAll('\n', '');
