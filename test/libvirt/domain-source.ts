/** XML to define a real domain from, made of the live XML that the sandbox's model prints. */
import { buildXml, content, leaf, parent, type XmlNode } from '../../reconcile/systems/xml-build.ts';
import { childAttribute, parseXml, type XmlElement } from '../../reconcile/systems/xml-tree.ts';
import { domainXml } from '../../sandbox/node/domain-xml.ts';
import type { Device } from '../../sandbox/node/libvirt-devices.ts';
import { guestFiles } from './guest.ts';

export interface SourceOptions {
  readonly name: string;
  /** In the order in which they stand in the XML. What has no address gets one of libvirt. */
  readonly devices: readonly Device[];
  readonly machine?: string;
  /** Boots Linux; without it the machine finds nothing to boot. */
  readonly linux?: boolean;
  /** Where the console goes. */
  readonly serialFile: string;
  /** File that stands for a disk, by the name that the guest gives it. */
  readonly diskFile?: (target: string) => string;
}

/** @throws Error for XML of the model that can't be read */
export function sourceXml(options: SourceOptions): string {
  const { name, devices, machine = 'q35', linux = false } = options;
  const memoryMiB = linux ? 96 : 64;
  const modelled = domainXml({
    name,
    uuid: '',
    id: 1,
    type: 'qemu',
    machine,
    memoryKiB: memoryMiB * 1024,
    vcpus: 1,
    kubevirt: false,
    paused: false,
    devices,
  });
  const parsed = parseXml(modelled);
  if (!parsed.ok) throw new Error(`the model's XML can not be read: ${parsed.error}`);
  const listed = parsed.root.children.find((each) => each.name === 'devices')?.children ?? [];
  const { kernel, initrd } = guestFiles();
  // Without speculation to guard against an emulated processor boots faster.
  const kernelLine = 'console=ttyS0 rdinit=/init panic=-1 quiet mitigations=off';
  const boot = linux ? [content('kernel', kernel), content('initrd', initrd), content('cmdline', kernelLine)] : [];
  return buildXml(
    parent(
      'domain',
      [
        content('name', name),
        content('memory', memoryMiB, { unit: 'MiB' }),
        content('vcpu', 1),
        parent('os', [content('type', 'hvm', { arch: 'x86_64', machine }), ...boot]),
        parent('features', [leaf('acpi', {}), parent('tcg', [content('tb-cache', 32, { unit: 'MiB' })])]),
        content('on_reboot', 'destroy'),
        parent('devices', [
          content('emulator', '/usr/bin/qemu-system-x86_64'),
          parent('serial', [leaf('source', { path: options.serialFile })], { type: 'file' }),
          ...listed.flatMap((element) => sourceDevice(element, options)),
        ]),
      ],
      { type: 'qemu' },
    ),
  );
}

/** What only fits into a launcher pod is replaced by what this machine has; the rest stays as the model prints it. */
function sourceDevice(element: XmlElement, { diskFile }: SourceOptions): readonly XmlNode[] {
  switch (element.name) {
    case 'emulator':
    case 'serial':
      return [];
    case 'disk': {
      const target = childAttribute(element, 'target', 'dev') ?? '';
      return [
        {
          ...element,
          attributes: { ...element.attributes, type: 'file' },
          children: element.children.map((child) => {
            if (child.name === 'driver') return leaf('driver', { name: 'qemu', type: 'raw' });
            return child.name === 'source' ? leaf('source', { file: diskFile?.(target) }) : child;
          }),
        },
      ];
    }
    case 'channel':
      return [{ ...element, children: element.children.filter((child) => child.name === 'target') }];
    default:
      return [element];
  }
}
