/** Reads a Dockerfile as far as ours goes: stages of plain instructions, with continued lines. */

export interface Instruction {
  readonly name: string;
  readonly text: string;
  readonly line: number;
}

export interface Stage {
  readonly image: string;
  readonly alias: string | undefined;
  readonly instructions: readonly Instruction[];
}

/** The stages of a Dockerfile, in order. */
export function readDockerfile(source: string): readonly Stage[] {
  const stages: { image: string; alias: string | undefined; instructions: Instruction[] }[] = [];
  for (const instruction of instructions(source)) {
    if (instruction.name === 'FROM') {
      const [image = '', , alias] = instruction.text.split(/\s+/);
      stages.push({ image, alias, instructions: [] });
    } else stages.at(-1)?.instructions.push(instruction);
  }
  return stages;
}

function* instructions(source: string): Generator<Instruction> {
  let pending = '';
  let start = 0;
  for (const [index, raw] of source.split('\n').entries()) {
    if (/^\s*#/.test(raw) || (raw.trim() === '' && pending === '')) continue;
    if (pending === '') start = index + 1;
    pending += raw.replace(/\\$/, ' ');
    if (raw.endsWith('\\')) continue;
    const match = /^\s*([A-Z]+)\s+([\s\S]*)$/.exec(pending);
    pending = '';
    if (match?.[1] !== undefined && match[2] !== undefined)
      yield { name: match[1], text: match[2].trim(), line: start };
  }
}
