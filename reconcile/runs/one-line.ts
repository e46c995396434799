/**
 * Text from a cluster or a repository for a field that others show: one line, without marks that are not seen or turn the
 * direction of the text, cut at so many bytes of UTF-8.
 */
export function oneLine(text: string, maxBytes: number): string {
  const line = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  if (Buffer.byteLength(line) <= maxBytes) return line;
  const cut = Buffer.from(line)
    .subarray(0, maxBytes - 3)
    .toString()
    .replace(/\ufffd+$/, '');
  return `${cut}...`;
}
