/** Builds the API server and etcd where they are missing: `node test/control-plane/build.ts`. Needs Go, and some minutes. */
import { controlPlanePrograms } from './programs.ts';

const { folder, seconds } = controlPlanePrograms();
console.log(`kube-apiserver and etcd are in ${folder}: ${seconds === 0 ? 'they were there' : `built in ${seconds} s`}`);
