/** The style of the page. Every state has a line of its own beside its colour, so that it can be told without one. */
import { type ColourName, dark, light, type Palette, toneNames } from './palette.ts';

function colours(palette: Palette): string {
  return (Object.keys(palette) as ColourName[]).map((name) => `--${name}:${palette[name]}`).join(';');
}

const tones = toneNames.map((tone) => `.t-${tone}{--tone:var(--${tone})}`).join('\n');

export const pageStyle = `
:root{color-scheme:light dark;${colours(light)};--wires:300px}
@media (prefers-color-scheme:dark){:root{${colours(dark)}}}
${tones}
*{box-sizing:border-box}
[hidden]{display:none!important}
body{margin:0;background:var(--page);color:var(--ink);font:14px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
code,.mac,.at{font:12px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
h1,h2,p,ul,ol,dl,dd{margin:0;padding:0}
ul,ol{list-style:none}
a{color:inherit;text-decoration:none}
button,input{font:inherit;color:inherit}
:focus-visible{outline:2px solid var(--focus);outline-offset:2px;border-radius:3px}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.sign{display:inline-block;min-width:1.1em;font-weight:700;text-align:center;font-family:ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace}
.skip{position:absolute;left:-999px;top:4px;padding:4px 10px;background:var(--panel);z-index:3}
.skip:focus{left:8px}
header,main,footer{max-width:1440px;margin:0 auto;padding:0 24px}
header{padding-top:18px}
.top{display:flex;flex-wrap:wrap;align-items:baseline;gap:4px 14px}
h1{font-size:17px;font-weight:650;letter-spacing:-.01em}
h1 .kind{font-weight:400;color:var(--muted)}
.revision{font-size:13px}
.summary{font-size:15px;margin-top:8px}
.meta{display:flex;flex-wrap:wrap;gap:2px 22px;margin-top:6px;color:var(--muted);font-size:12.5px}
.meta div{display:flex;gap:6px}
.meta dd{color:var(--ink);overflow-wrap:anywhere}
.notices{margin-top:10px;border-left:3px solid var(--change);padding-left:10px;font-size:13px}
.bar{position:sticky;top:0;z-index:2;background:var(--page);border-bottom:1px solid var(--line);margin-top:14px}
.bar>div{max-width:1440px;margin:0 auto;padding:10px 24px;display:flex;flex-wrap:wrap;gap:8px;align-items:center}
#filters{display:flex;flex-wrap:wrap;gap:6px}
.chip{display:inline-flex;align-items:center;gap:5px;border:1px solid var(--edge);background:var(--panel);border-radius:5px;padding:3px 9px 3px 6px;cursor:pointer;font-size:13px;line-height:20px}
.chip .sign{color:var(--tone)}
.chip b{font-variant-numeric:tabular-nums;font-weight:650}
.chip[aria-pressed=true]{border-color:var(--tone);box-shadow:inset 0 0 0 1.5px var(--tone);font-weight:650}
#search{flex:1 1 260px;min-width:180px;max-width:420px;border:1px solid var(--edge);background:var(--panel);border-radius:5px;padding:3px 10px;line-height:20px}
#search::placeholder{color:var(--muted);opacity:1}
#clear{border:0;background:none;color:var(--focus);cursor:pointer;padding:3px 4px}
#shown{color:var(--muted);font-size:13px;margin-left:auto;font-variant-numeric:tabular-nums}
.index,.runs{margin-top:12px;font-size:13px}
summary{cursor:pointer;color:var(--muted)}
summary b{color:var(--ink);font-weight:600}
#networks{columns:300px;column-gap:28px;margin-top:6px;max-height:260px;overflow:auto}
#networks li{break-inside:avoid;padding:1px 0}
#networks [class^=t-]{color:var(--tone);margin-left:6px;font-variant-numeric:tabular-nums}
.link{border:0;background:none;padding:0;cursor:pointer;text-align:left;overflow-wrap:anywhere}
.link:hover{text-decoration:underline}
.runs table{border-collapse:collapse;margin-top:6px}
.runs th{font-weight:400;color:var(--muted);text-align:left}
.runs td,.runs th{padding:2px 18px 2px 0;vertical-align:top}
#panels{margin:14px 0 40px}
.vm{display:grid;grid-template-columns:196px minmax(0,1fr);gap:0 20px;background:var(--panel);border:1px solid var(--line);border-bottom-width:0;padding:12px 16px 12px;content-visibility:auto;contain-intrinsic-size:auto 100px auto calc(var(--rows)*22px + 52px);scroll-margin-top:64px}
.vm:last-of-type{border-bottom-width:1px}
.head h2{font-size:14px;font-weight:650;line-height:1.35;overflow-wrap:anywhere}
.head .ns{font-weight:400;color:var(--muted)}
.head a:hover{text-decoration:underline}
.badges{display:flex;flex-wrap:wrap;gap:0 12px;font-size:13px;font-weight:600;margin-top:2px}
.badges li{color:var(--tone)}
.badges .sign{margin:0 3px 0 -2px}
.facts,.head .at{color:var(--muted);font-size:12px;overflow-wrap:anywhere}
.body{display:grid;grid-template-columns:var(--wires) minmax(0,1fr);min-width:0}
.wires{display:block;overflow:visible;max-width:100%}
.side{min-width:0;padding-left:8px}
.ports{height:24px;line-height:25px;font-size:12px;color:var(--muted);white-space:nowrap;overflow:hidden;text-overflow:ellipsis;padding-left:2px}
.rows{padding-top:2px}
.row{height:22px;line-height:22px;display:grid;grid-template-columns:98px minmax(60px,1fr) minmax(70px,1.2fr) 126px minmax(120px,1.6fr);gap:0 12px;white-space:nowrap;font-size:13px}
.row>*{overflow:hidden;text-overflow:ellipsis}
.row .state{color:var(--tone);font-weight:600;font-size:12.5px}
.row .sign{margin-right:4px}
.row .nic{font-weight:500}
.row .mac{line-height:22px;color:var(--muted)}
.row .say{color:var(--muted)}
.row .net{line-height:22px}
.row.t-stays .state,.row.t-foreign .state{font-weight:400}
.row.t-unplug .nic,.row.t-unplug .net{text-decoration:line-through;text-decoration-thickness:1px}
.wide .body{grid-template-columns:minmax(0,1fr)}
.wide .wires{height:26px;overflow:hidden}
.wide .side{padding:0}
.more{grid-column:1/-1;margin-top:6px;font-size:13px}
.blocks li{display:grid;grid-template-columns:18px minmax(0,1fr);padding:4px 0 2px}
.blocks .sign{color:var(--blocked)}
.blocks code{color:var(--muted)}
.remedy{display:block;color:var(--ink)}
.remedy::before{content:"→ ";color:var(--muted)}
.paste summary{cursor:pointer;color:var(--muted)}
.paste pre{margin:4px 0;overflow-x:auto;font-size:12.5px}
.steps li{padding-left:4px}
.steps .sign{margin-right:6px}
.notes{color:var(--muted);font-size:12.5px}
.rail{fill:var(--strip)}
.hole{fill:var(--panel);stroke:var(--edge);stroke-width:1}
.core{fill:var(--edge)}
.jack.used .hole{fill:var(--strip)}
.jack[class*=t-] .core{fill:var(--tone)}
.jack[class*=t-] .hole{stroke:var(--tone);stroke-width:1.5}
.jack.free .hole{fill:var(--panel)}
.jack.freed .hole{stroke:var(--unplug);stroke-dasharray:3 2;stroke-width:1.5}
.jack.blind .hole{stroke-dasharray:1.5 2}
.jack.fixed .hole{fill:none}
.mark{stroke:var(--tone,var(--edge));stroke-width:2;fill:none}
.jack.fixed .mark{stroke-width:1}
.jack:focus-visible{outline:none}
.jack:focus-visible .hole{stroke:var(--focus);stroke-width:3}
.cable{fill:none;stroke:var(--tone);stroke-width:1.5;stroke-linecap:butt}
.tip{fill:var(--tone)}
.cable.t-plug{stroke-width:4}
.cable.t-unplug{stroke-width:2.5;stroke-dasharray:7 5}
.cable.t-change{stroke-width:3;stroke-dasharray:14 3 3 3}
.cable.t-flight{stroke-width:3;stroke-dasharray:1 6;stroke-linecap:round}
.cable.t-staged{stroke-width:1.5;stroke-dasharray:3 3}
.cable.t-blocked{stroke-width:2.5}
.cable.t-foreign{stroke-width:1;opacity:1}
.break{fill:none;stroke:var(--tone);stroke-width:2.5}
@keyframes flow{to{stroke-dashoffset:-14}}
@media (prefers-reduced-motion:no-preference){.cable.t-flight{animation:flow 1s linear infinite}}
#nothing{padding:30px 0;color:var(--muted)}
footer{color:var(--muted);font-size:12px;padding-bottom:24px}
kbd{font:inherit;border:1px solid var(--edge);border-radius:3px;padding:0 5px}
@media (max-width:1080px){.vm{grid-template-columns:minmax(0,1fr);gap:8px}}
@media (max-width:860px){.bar{position:static}.body{grid-template-columns:minmax(0,1fr)}.wires{height:26px;overflow:hidden}.side{padding:0}.row{display:flex;flex-wrap:wrap;height:auto;gap:0 10px;padding-bottom:3px}.row .mac:empty{display:none}header,main,footer,.bar>div{padding-left:12px;padding-right:12px}}
@media (forced-colors:active){.hole,.cable,.break,.mark{stroke:CanvasText}.core,.tip{fill:CanvasText}.rail{fill:Canvas;stroke:CanvasText}.chip[aria-pressed=true]{outline:2px solid Highlight}}
@media print{.bar{position:static}.bar #search,#clear,.skip{display:none}body{background:#fff}.vm{content-visibility:visible;break-inside:avoid}.steps{display:block}footer{display:none}}
`;
