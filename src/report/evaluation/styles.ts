/** The evaluation report's style sheet. Colour means class, and nothing else; curves are told apart by their dashes. */
import { baseStyles } from '../styles';

export const styles =
  baseStyles +
  `
html{scroll-behavior:auto}
.eyebrow{margin:0;color:var(--mark);font-size:.88rem;font-weight:600}
h1{margin:.1rem 0 .3rem}
.lede{margin:0 0 1.2rem;font-size:1.08rem;color:var(--soft);overflow-wrap:anywhere}
h3{font-size:1rem;line-height:1.4;margin:0 0 .6rem}
h3 .count{margin-left:.2rem}
h3.kind{margin:1.6rem 0 .7rem}
nav{display:flex;flex-wrap:wrap;gap:.3rem 1.3rem;margin-top:1.4rem;padding:.6rem 0;border-block:1px solid var(--line);font-size:.95rem}
.prose{columns:2 24rem;column-gap:2.6rem}
.prose p{margin:0 0 .7rem;break-inside:avoid}
.note{margin:.6rem 0 0;color:var(--soft);font-size:.88rem}
.columns{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:1.2rem}
.columns.three{grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr))}
.panel{min-width:0;background:var(--panel);border:1px solid var(--line);border-radius:.6rem;padding:1rem 1.1rem;break-inside:avoid}
.panel+.panel:not(.columns>*),.columns+.panel{margin-top:1.2rem}
.quiet{color:var(--soft)}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.metrics th,.metrics td{padding:.38rem .5rem}
.metrics :is(th,td):first-child{padding-left:0}
.metrics :is(th,td):last-child{padding-right:0}
.metrics thead th{color:var(--soft);font-weight:400;font-size:.82rem;border-color:var(--ink)}
.metrics tbody th{overflow-wrap:normal}
.points thead th{white-space:normal;vertical-align:bottom}
.metrics:not(.points) tbody tr:first-child b{font-size:1.35rem;line-height:1.2}
.points{margin-top:1.1rem}
.drawn{width:8rem}
.interval{display:block;width:7.5rem;height:1rem;margin-left:auto}
.interval path{fill:none;stroke:var(--line);stroke-width:1.5}
.interval .chance{stroke:var(--soft)}
.interval .whisker{stroke:var(--ink);stroke-width:5;stroke-opacity:.28}
.interval circle{fill:var(--ink)}
.drawing{display:block;width:100%;max-width:26rem;height:auto;margin:0 auto;font-size:12px;font-variant-numeric:tabular-nums}
.drawing text{fill:var(--soft)}
.drawing .axis{fill:var(--ink)}
.drawing .class{font-size:13px;font-weight:600}
.drawing .class.abnormal{fill:var(--abnormal)}
.drawing .class.normal{fill:var(--normal)}
.grid,.curve,.chance,.zero,.threshold{fill:none}
.grid{stroke:var(--faint)}
.zero{stroke:var(--ink)}
.drawing .chance{stroke:var(--soft);stroke-width:1.8;stroke-linecap:round;stroke-dasharray:.1 5}
.curve{stroke:var(--ink);stroke-width:2.2;stroke-linejoin:round}
.curve.pixels{stroke:var(--soft);stroke-width:2;stroke-dasharray:7 4}
.point{fill:var(--panel);stroke:var(--ink);stroke-width:2.2}
.threshold{stroke:var(--ink);stroke-width:1.5}
.bars.abnormal{fill:var(--abnormal)}
.bars.normal{fill:var(--normal)}
.keys{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;margin:.6rem 0 0;padding:0;font-size:.88rem;font-variant-numeric:tabular-nums}
.keys li{display:flex;align-items:center;gap:.45rem}
.sample{width:28px;height:10px;flex:none}
.dot{display:inline-block;width:.62em;height:.62em;margin-right:.45em;border-radius:50%}
.keys .dot{margin:0}
.dot.abnormal{background:var(--abnormal)}
.dot.normal{border:.16em solid var(--normal)}
.confusion{width:auto;margin-top:.8rem}
.confusion :is(th,td){border-bottom:0}
.confusion :is(thead th,thead td,tbody th){padding-left:0;color:var(--soft);font-weight:400;font-size:.88rem}
.confusion thead th{padding:.2rem .8rem}
.confusion tbody td{border:1px solid var(--line);background:var(--panel);text-align:left;min-width:8.5rem}
.confusion td b{font-size:1.35rem;line-height:1.2}
.confusion .wrong b{color:var(--bad)}
.confusion .count{display:block;margin:0;font-size:.82rem}
.panes{display:grid;grid-template-columns:1fr 1fr;gap:1px;--opacity:.5}
.card .panes{cursor:zoom-in;background:#000}
.pane{margin:0;min-width:0}
.pane figcaption{padding:.3rem .6rem;font-size:.82rem;color:var(--soft)}
.card figcaption{display:none}
.stack{position:relative;background:#000}
.stack img{display:block;width:100%;height:auto}
.stack .heatmap,.stack svg{position:absolute;inset:0;width:100%;height:100%}
.stack .heatmap{opacity:var(--opacity,.5)}
.pane.original .heatmap{display:none}
.pane.heatmap .heatmap{opacity:1}
.stack path{fill:none;stroke:#fff;stroke-width:2;vector-effect:non-scaling-stroke;stroke-linejoin:round;filter:drop-shadow(0 0 1px #000) drop-shadow(0 0 1px #000)}
.stack path.truth{stroke:#4fe3ff}
.stack path.predicted{stroke-dasharray:5 4}
.card path.predicted,.pane.original path.predicted{display:none}
.no-truth path.truth,.no-predicted path.predicted{display:none}
.caption{display:flex;justify-content:space-between;gap:1rem;margin:0;padding:.6rem .8rem;font-size:.88rem}
.name a{display:block;overflow-wrap:anywhere}
.card>.note{padding:1.2rem .8rem;margin:0}
.filters{display:flex;flex-wrap:wrap;align-items:end;gap:.8rem 1.4rem;margin:1rem 0;font-size:.92rem}
.filters legend,.search{color:var(--soft);font-size:.82rem}
.search{flex:1 1 14rem;max-width:22rem;display:block}
.search input{display:block;width:100%;margin-top:.2rem;padding:.4rem .6rem;font:inherit;font-size:1rem;color:var(--ink);background:var(--panel);
border:1px solid var(--line);border-radius:.4rem}
.choice{margin:0;padding:0;border:0;min-width:0}
.choice legend{padding:0 0 .2rem}
.choice div{display:flex;border:1px solid var(--line);border-radius:.4rem;overflow:hidden;background:var(--panel)}
.choice input{position:absolute;opacity:0;pointer-events:none}
.choice span{padding:.42rem .8rem;cursor:pointer}
.choice label+label span{border-left:1px solid var(--line)}
.choice input:checked+span{background:var(--ink);color:var(--panel)}
.choice input:focus-visible+span{outline:3px solid var(--mark);outline-offset:-3px}
#shown{margin-left:auto;padding-bottom:.4rem;color:var(--soft);font-variant-numeric:tabular-nums}
#table thead th{position:sticky;top:0;z-index:1;box-shadow:inset 0 -1px var(--line)}
#table{table-layout:fixed}
#table thead .truth{width:6.4rem}
#table thead .outcome{width:8rem}
#table thead .score{width:11.6rem}
#table thead .part{width:6.4rem}
#table thead .pictured{width:5rem}
.scroll{max-height:min(46rem,85vh)}
#table tbody tr{cursor:pointer}
#table tbody tr:hover{background:var(--faint)}
#table td,#table tbody th{padding-block:.38rem}
#table :is(td,tbody th,thead button){padding-inline:.6rem}
#table :is(tbody tr>:first-child,thead th:first-child button){padding-left:.9rem}
.folder{color:var(--soft)}
.name a{text-decoration-color:transparent}
:is(tr,.card):hover .name a,.name a:focus-visible{text-decoration-color:var(--mark)}
.outcome.right,td.pictured{color:var(--soft)}
.outcome.wrong{color:var(--bad);font-weight:600}
td.score{white-space:nowrap}
.bar{display:inline-block;vertical-align:middle;width:6rem;height:.55rem;margin-left:.7rem;border-radius:2px;
background:linear-gradient(90deg,transparent calc(var(--tick) - 1px),var(--ink) 0 calc(var(--tick) + 1px),transparent 0),linear-gradient(90deg,var(--bar) var(--to),var(--faint) 0)}
.bar.abnormal{--bar:var(--abnormal)}
.bar.normal{--bar:var(--normal)}
.command{position:relative}
.commands{margin:0;padding-left:1.4rem}
.commands li+li{margin-top:.6rem}
code{font:.88rem/1.5 ui-monospace,SFMono-Regular,Menlo,monospace}
.command span{display:inline-block;max-width:100%}
.command code{display:block;padding:.55rem 5.5rem .55rem .8rem;background:var(--faint);border-radius:.4rem;white-space:pre-wrap;overflow-wrap:anywhere}
button{font:inherit}
:is(.copy,#copy-record,.steps button){padding:.25rem .75rem;color:inherit;background:var(--panel);border:1px solid var(--line);border-radius:.4rem;cursor:pointer;font-size:.88rem}
:is(.copy,#copy-record,.steps button):hover:not(:disabled){border-color:var(--mark)}
.command .copy{position:absolute;top:.35rem;right:.4rem}
button:disabled{opacity:.4;cursor:default}
dialog{width:min(78rem,100vw - 2rem);max-width:none;max-height:calc(100dvh - 2rem);padding:0 1.4rem 1.4rem;color:var(--ink);background:var(--panel);border:1px solid var(--line);border-radius:.8rem;overscroll-behavior:contain}
dialog::backdrop{background:#000a}
dialog header{position:sticky;top:0;z-index:2;display:flex;align-items:center;justify-content:space-between;gap:1rem;padding:.9rem 0 .8rem;background:var(--panel)}
dialog h2{margin:0;font-size:1.05rem;overflow-wrap:anywhere;outline:0}
dialog .pane figcaption{padding-inline:0}
.steps{display:flex;align-items:center;gap:.5rem;flex:none;font-size:.88rem;color:var(--soft);font-variant-numeric:tabular-nums}
#position{min-width:6.5rem;text-align:center}
dialog .facts{grid-template-columns:repeat(auto-fit,minmax(8rem,1fr));font-variant-numeric:tabular-nums}
.controls{display:flex;flex-wrap:wrap;align-items:center;gap:.5rem 1.6rem;margin:1rem 0 .8rem;font-size:.9rem}
.controls .opacity{flex:0 1 20rem;white-space:nowrap}
.controls [hidden]{display:none}
.legend{display:flex;align-items:center;gap:.5rem;flex:0 1 12rem;margin-left:auto}
.line{width:1.6rem;height:0;border-top:3px solid #18b4d4}
.line.predicted{border-top:3px dashed var(--soft)}
dialog .panes{grid-template-columns:repeat(3,minmax(0,1fr));gap:.8rem}
dialog .panes{--opacity:inherit}
@media(max-width:62rem){#table .part{display:none}}
@media(max-width:46rem){
body{padding-top:.9rem}
.panel{padding:.85rem .85rem}
.metrics .drawn{display:none}
.metrics :is(th,td){padding-inline:.25rem}
#table{font-size:.86rem}
#table .pictured{display:none}
#table tbody th{min-width:0}
#table :is(td,tbody th,thead button){padding-inline:.4rem}
#table :is(tbody tr>:first-child,thead th:first-child button){padding-left:.6rem}
td.outcome{white-space:normal}
.truth span{display:none}
#table thead .truth{width:3.1rem}
#table thead .outcome{width:4.9rem}
#table thead .score{width:4.8rem}
tbody .truth{text-align:center}
#table .folder{display:block;font-size:.9em}
.bar{display:block;width:100%;margin:.25rem 0 0}
.search{max-width:none;flex-basis:100%}
.choice span{padding-inline:.65rem}
.confusion{width:100%}
.confusion tbody td{min-width:0}
dialog{width:100vw;max-height:100dvh;height:100dvh;padding:0 .9rem .9rem;border:0;border-radius:0}
dialog header{flex-wrap:wrap;gap:.4rem}
dialog .facts{grid-template-columns:repeat(3,auto);gap:.6rem 1rem;font-size:.95rem}
dialog .facts>div{display:block}
dialog .panes{grid-template-columns:1fr 1fr}
dialog .pane.overlay{grid-column:1/-1;order:-1}
.command code{padding:.55rem .8rem 2.6rem}
.command .copy{top:auto;bottom:.4rem}
.controls .opacity{flex-basis:100%}
.legend{margin-left:0;flex-basis:100%}
}
@media(max-width:23rem){.metrics{font-size:.82rem}.metrics thead th{font-size:.75rem}}
@media print{
nav,.filters,.copy,#copy-record,dialog{display:none}
#table{table-layout:fixed}
#table thead .truth{width:6.4rem}
#table thead .outcome{width:8rem}
#table thead .score{width:11.6rem}
#table thead .part{width:6.4rem}
#table thead .pictured{width:5rem}
.scroll{max-height:none;overflow:visible}
#table thead th{position:static}
#table{font-size:.7rem;table-layout:auto}
#table :is(td,tbody th,thead button){padding:.2rem .35rem}
#table tbody th{min-width:0}
.pictured,.bar{display:none}
.columns.three{grid-template-columns:repeat(3,1fr)}
.columns.three .keys{font-size:.7rem}
.cards{grid-template-columns:repeat(3,1fr)}
.bars,.bar,.dot,.stack{print-color-adjust:exact}
h2,h3{break-after:avoid}
tr{break-inside:avoid}
}
`.replace(/\n/g, '');
