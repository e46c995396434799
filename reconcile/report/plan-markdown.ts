/** A plan as Markdown, for a comment in a pull request. */
import { revision } from '../desired/revision.ts';
import { isPodPlan, type Plan, type TargetPlan } from '../plan/model.ts';
import { pasteFold } from './paste.ts';
import { planSummary } from './plan-text.ts';
import { policyLines } from './policy-words.ts';
import { portCountLines, portStrip } from './port-strip.ts';
import { makeStyle, printable } from './style.ts';
import { describeAction, fleetNoun, runStateWords, sign, sourceName, undeclaredLines } from './words.ts';

/** Hosts cut comments at 65,536 characters; what is left out is counted. */
const limit = 65_000;

/** Text inside a table cell or a list item: nothing in it may end the cell, start a tag, or call a person. */
function cell(text: string): string {
  return printable(text)
    .replace(/[\\|<>`*_[\]&]/g, '\\$&')
    .replaceAll('@', '@\u200b');
}

/** Text inside a fenced block: a fence in it must not end the block. */
function fenced(text: string): string {
  return printable(text).replaceAll('```', "'''");
}

/** Empty where a VM has nothing but blockers, which stand above. */
function targetSection(target: TargetPlan): string {
  const plain = makeStyle(false);
  const lines = target.actions.map((action) => {
    const mark = sign(action);
    return fenced(`${mark === '~' ? '!' : mark} ${describeAction(action, target.target)}`);
  });
  if (target.ports !== undefined) lines.push(fenced(`# ${portStrip(target.ports, plain)}`));
  if (!isPodPlan(target) && target.portCount !== undefined)
    lines.push(...portCountLines(target.portCount).map((line) => fenced(`# ${line}`)));
  for (const note of target.notes) lines.push(fenced(`# ${note.message}`));
  if (lines.length === 0) return '';
  const { namespace, name } = target.target;
  const title = cell(`${isPodPlan(target) ? 'pod ' : ''}${namespace}/${name}`);
  return `<details><summary>${title}, ${runStateWords[target.runState]}</summary>\n\n\`\`\`diff\n${lines.join('\n')}\n\`\`\`\n\n</details>\n`;
}

function blockers(plan: Plan): string[] {
  const rows = plan.targets.flatMap((target) =>
    target.blockers.map((blocker) => {
      const whom = blocker.attachment === undefined ? '' : ` ${cell(blocker.attachment)}`;
      const kind = isPodPlan(target) ? 'pod ' : '';
      const who = `**${kind}${cell(`${target.target.namespace}/${target.target.name}`)}**${whom}`;
      const { position } = blocker;
      const at = position === undefined ? '' : ` ${cell(`${position.file}:${position.line}`)}`;
      return `- ${who}${at} (${blocker.code}): ${cell(blocker.message)}. ${cell(blocker.remedy)}${pasteFold(blocker)}`;
    }),
  );
  return rows.length === 0 ? [] : ['### Blocked', '', ...rows, ''];
}

/** Blockers on top, a row a VM, a folded diff a VM; under 65,000 characters, whatever the plan. Ends with a newline. */
export function planMarkdown(plan: Plan): string {
  const head = [
    '<!-- patchpanel plan -->',
    `**${planSummary(plan)}**`,
    '',
    `Revision \`${revision(plan.source)}\` of ${cell(sourceName(plan.source))}`,
    '',
  ];
  const undeclared = [...policyLines(plan.policy), ...undeclaredLines(plan)].map((line) => `- ${cell(line)}`);
  const table = [`| ${plan.summary.pods === undefined ? 'VM' : 'target'} | state | changes |`, '|---|---|---|'];
  const sections: string[] = [];
  const stop = blockers(plan);
  const size0 = undeclared.join('\n').length;
  let size = size0 + head.join('\n').length + stop.join('\n').length + table.join('\n').length + 200;
  const shownBlockers: string[] = [];
  let left = 0;
  if (size > limit / 2) {
    // So many blockers that they alone fill the comment: as many as fit in half of it.
    let used = 0;
    for (const line of stop) {
      if (used + line.length > limit / 2) left += 1;
      else {
        used += line.length + 1;
        shownBlockers.push(line);
      }
    }
    size = size0 + head.join('\n').length + used + 400;
  } else shownBlockers.push(...stop);
  let hidden = 0;
  for (const target of plan.targets) {
    const signs =
      target.actions.map((action) => sign(action)).join(' ') || (target.blockers.length > 0 ? 'blocked' : 'none');
    const row = `| ${isPodPlan(target) ? 'pod ' : ''}${cell(`${target.target.namespace}/${target.target.name}`)} | ${runStateWords[target.runState]} | ${signs} |`;
    const section = targetSection(target);
    if (size + row.length + section.length + 2 > limit) {
      hidden += 1;
      continue;
    }
    size += row.length + section.length + 2;
    table.push(row);
    if (section !== '') sections.push(section);
  }
  const rest: string[] = [];
  if (left > 0) rest.push(`${left} more blockers are not shown.`);
  if (hidden > 0)
    rest.push(`${hidden} more ${fleetNoun(plan.summary)}s are not shown; \`patchpanel plan -o json\` has them all.`);
  const body = plan.targets.length === 0 ? [] : [...table, '', ...sections];
  const tail = undeclared.length === 0 ? [] : [...undeclared, ''];
  return `${[...head, ...shownBlockers, ...body, ...tail, ...rest].join('\n').trimEnd()}\n`;
}
