/** Builds the programs that the tests run where they are missing: `node test/control-plane/build.ts`. Needs Go, and some minutes. */
import { controlPlanePrograms, kubevirtPrograms } from './programs.ts';

const builds = [
  ['kube-apiserver and etcd', controlPlanePrograms],
  ['virt-controller and virt-api', kubevirtPrograms],
] as const;
for (const [names, build] of builds) {
  const { folder, seconds } = build();
  console.log(`${names} are in ${folder}: ${seconds === 0 ? 'they were there' : `built in ${seconds} s`}`);
}
