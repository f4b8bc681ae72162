/** Style sheets of reports: light and dark, phone to desktop, and on paper. */

const squeeze = (css: string) => css.replace(/\n/g, '');

/** Colours, text, tables: what all reports share. Classes are told apart by the blue and the orange of Okabe and Ito (2008). */
export const baseStyles = squeeze(`
:root{color-scheme:light dark;--ground:#f7f6f3;--panel:#fff;--ink:#1d1f23;--soft:#5c626d;--line:#dedcd5;--faint:#efede7;--mark:#9a3412;
--bad:#b3261e;--warn-ground:#fff4e0;--warn-line:#e0a43a;--dot:#7a2a5e;--normal:#0072b2;--abnormal:#c8560a;font:16px/1.5 system-ui,sans-serif}
@media screen and (prefers-color-scheme:dark){:root{--ground:#141519;--panel:#1c1e24;--ink:#e7e7e3;--soft:#a2a8b4;--line:#343741;--faint:#262930;
--mark:#fbb26a;--bad:#ff8a80;--warn-ground:#2e2413;--warn-line:#8a6420;--dot:#f08f52;--normal:#62b5ea;--abnormal:#f0954a}}
@media print{:root{color-scheme:light;--ground:#fff}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
@media(prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0 auto;max-width:78rem;padding:1.25rem clamp(.9rem,3vw,2.5rem) 3rem;background:var(--ground);color:var(--ink)}
h1{font-size:clamp(1.5rem,4vw,2.1rem);line-height:1.2;margin:.4rem 0 1rem;overflow-wrap:anywhere;text-wrap:balance}
h2{font-size:1.3rem;line-height:1.3;margin:2.6rem 0 .9rem;scroll-margin-top:1rem}
.count{color:var(--soft);font-weight:400;font-size:.92rem;margin-left:.4rem}
.notice{background:var(--warn-ground);border:1px solid var(--warn-line);border-left-width:5px;border-radius:.5rem;
margin:0 0 1.2rem;padding:.6rem .9rem;font-size:.92rem}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,14rem),1fr));gap:.7rem 1.6rem;margin:0}
.facts dt{color:var(--soft);font-size:.8rem}
.facts :is(dt,dd){margin:0;min-width:0;overflow-wrap:anywhere}
@media(max-width:30rem){.facts{grid-template-columns:1fr;gap:.35rem}.facts>div{display:grid;grid-template-columns:7rem 1fr;gap:.6rem;align-items:baseline}}
.scroll{overflow:auto;background:var(--panel);border:1px solid var(--line);border-radius:.6rem}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{padding:.45rem .8rem;text-align:left;border-bottom:1px solid var(--line);white-space:nowrap}
tbody tr:last-child>*{border-bottom:0}
tbody th{font-weight:500;white-space:normal;overflow-wrap:anywhere}
#table tbody th{min-width:11rem}
#table thead th{padding:0;background:color-mix(in srgb,var(--ground) 60%,var(--panel))}
#table thead button{all:unset;box-sizing:border-box;cursor:pointer;width:100%;padding:.5rem .8rem;font-weight:600}
:is(button,a,input,summary,.scroll):focus-visible,#table thead button:focus-visible{outline:3px solid var(--mark);outline-offset:1px}
#table thead button:focus-visible{outline-offset:-3px}
#table thead .number button{text-align:right}
th[aria-sort] button{color:var(--mark)}
th[aria-sort=ascending] button::after{content:" \\2191";content:" \\2191" / ""}
th[aria-sort=descending] button::after{content:" \\2193";content:" \\2193" / ""}
.number{text-align:right;font-variant-numeric:tabular-nums}
a{color:inherit;text-decoration-color:var(--mark);text-underline-offset:.2em}
.failed,.invalid{color:var(--bad);font-weight:600}
.failures{margin:0;padding-left:1.2rem;overflow-wrap:anywhere}
.slices{margin:0 0 1.2rem;padding:.7rem .9rem;background:var(--panel);border:1px solid var(--line);border-radius:.6rem}
.slices figcaption{overflow-wrap:anywhere;font-size:.92rem}
.slices svg{display:block;width:100%;max-height:16rem;fill:var(--soft);font-size:12px;font-variant-numeric:tabular-nums}
.slices line{stroke:var(--line)}
.slices .end{text-anchor:end}
.slices polyline{fill:none;stroke:var(--dot);stroke-width:2;stroke-linejoin:round}
.slices .worst{fill:var(--mark)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,21rem),1fr));gap:1.2rem;align-items:start}
.card{background:var(--panel);border:1px solid var(--line);border-radius:.6rem;overflow:hidden;break-inside:avoid}
.score{font-variant-numeric:tabular-nums;white-space:nowrap}
.legend{font-size:.85rem;color:var(--soft);font-variant-numeric:tabular-nums}
.scale{flex:1 1 5rem;height:.7rem;border-radius:.2rem}
label{display:flex;align-items:center;gap:.5rem}
input[type=range]{accent-color:var(--mark);min-width:0;width:100%}
footer{margin-top:2.5rem;padding-top:1rem;border-top:1px solid var(--line);color:var(--soft);font-size:.85rem}
@media print{body{max-width:none}.scale{print-color-adjust:exact}}
`);

/** Of a detection report. */
export const styles =
  baseStyles +
  squeeze(`
h3{display:flex;justify-content:space-between;gap:1rem;font-size:.95rem;margin:0;padding:.7rem .9rem}
.plot{display:block;width:100%;margin:0}
.plot line{stroke:var(--line);stroke-width:2}
.plot circle{fill:var(--dot);fill-opacity:.75}
.plot circle[data-row]{cursor:pointer}
.ends{display:flex;justify-content:space-between;margin:.2rem 0 .9rem;color:var(--soft);font-size:.85rem;font-variant-numeric:tabular-nums}
.card{scroll-margin-top:1rem}
.card:target{outline:3px solid var(--mark)}
.name{overflow-wrap:anywhere}
.pair{position:relative;--cut:50%;--opacity:.6;background:#000}
.pair img{display:block;width:100%;height:auto}
.pair .heat{position:absolute;inset:0;height:100%;clip-path:inset(0 0 0 var(--cut));opacity:var(--opacity)}
.pair .outline{position:absolute;inset:0;width:100%;height:100%;pointer-events:none}
.pair .outline path{fill:none;stroke:#4fe3ff;stroke-width:2;vector-effect:non-scaling-stroke}
.label-abnormal{color:var(--bad);font-weight:600}
.label-normal{color:var(--soft)}
.pair::after{content:"";position:absolute;inset:0 auto 0 var(--cut);width:2px;margin-left:-1px;background:#fff;box-shadow:0 0 4px #000;pointer-events:none}
.pair::before{content:"";position:absolute;z-index:1;left:var(--cut);top:50%;width:1.7rem;height:1.7rem;margin:-.85rem 0 0 -.85rem;
border-radius:50%;border:2px solid #fff;background:#0006;box-shadow:0 0 4px #000;pointer-events:none}
.pair:focus-within::before{border-color:var(--mark)}
.cut{position:absolute;inset:0;width:100%;height:100%;margin:0;opacity:0;cursor:ew-resize;touch-action:pan-y}
.legend{display:flex;flex-wrap:wrap;align-items:center;gap:.5rem .6rem;padding:.6rem .9rem}
.legend label{flex:1 1 9rem}
.controls{margin:0 0 1rem;font-size:.92rem;color:var(--soft)}
.controls label{flex-wrap:wrap}
.controls input{max-width:16rem}
@media print{.controls,.legend label,.pair::before{display:none}}
`);
