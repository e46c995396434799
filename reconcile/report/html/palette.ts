/** Colours of the page, light and dark. A test computes the contrast of each that text or a line has, and holds it to WCAG 2.2 AA. */

/** Colours by the name of their custom property. */
export type Palette = Readonly<Record<ColourName, string>>;

export const toneNames = ['blocked', 'unplug', 'plug', 'change', 'flight', 'staged', 'stays', 'foreign'] as const;
export type ColourName =
  /** Behind everything. */
  | 'page'
  /** Behind a panel. */
  | 'panel'
  /** The strip that holds the jacks. */
  | 'strip'
  /** Edges that tell nothing. */
  | 'line'
  /** Edges of controls and jacks: 3:1 at least. */
  | 'edge'
  | 'ink'
  /** Text of less weight. */
  | 'muted'
  /** Focus, links. */
  | 'focus'
  | (typeof toneNames)[number];

export const light: Palette = {
  page: '#eef0f2',
  panel: '#ffffff',
  strip: '#e4e7ea',
  line: '#d3d8dd',
  edge: '#76818b',
  ink: '#171c21',
  muted: '#515b65',
  focus: '#0b57d0',
  blocked: '#b3123a',
  unplug: '#9a4a06',
  plug: '#0b6b3f',
  change: '#775c00',
  flight: '#1553b8',
  staged: '#6a34b4',
  stays: '#515b65',
  foreign: '#5f6a74',
};

export const dark: Palette = {
  page: '#0f1316',
  panel: '#171c21',
  strip: '#242b32',
  line: '#2f3840',
  edge: '#7d8994',
  ink: '#e7ebee',
  muted: '#a9b3bc',
  focus: '#8ab8ff',
  blocked: '#ff8ba0',
  unplug: '#f4a55f',
  plug: '#5fd197',
  change: '#e3c04f',
  flight: '#8ab8ff',
  staged: '#c6a8ff',
  stays: '#a9b3bc',
  foreign: '#8e99a3',
};

/** Contrast of two colours `#rrggbb` by WCAG 2.2: 1 to 21. */
export function contrast(one: string, other: string): number {
  const [a, b] = [luminance(one), luminance(other)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
