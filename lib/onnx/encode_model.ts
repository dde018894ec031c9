import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  type AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataLocation as DataLocation,
  ModelProtoSchema,
  type TensorProtoSchema,
  type ValueInfoProtoSchema,
} from 'onnx-buf';
import type { OnnxAttr } from '../ir/onnx_builder.js';
import type { OnnxModel, OnnxNode, OnnxPort, OnnxTensor } from './onnx_model.js';
import { onnxTypes } from './onnx_types.js';

/** The version of the standard operators: the first with Attention, RMSNormalization and RotaryEmbedding. */
const opset = 23;
/** The file format that came with it. */
const irVersion = 11n;

/** A model as the bytes of an .onnx file. */
export function encodeModel(model: OnnxModel): Uint8Array<ArrayBuffer> {
  const domains = new Set(model.nodes.map((node) => node.domain).filter((domain) => domain !== ''));
  const message = create(ModelProtoSchema, {
    irVersion,
    producerName: 'triga',
    opsetImport: [
      { domain: '', version: BigInt(opset) },
      ...[...domains].map((domain) => ({ domain, version: 1n })),
    ],
    graph: {
      name: 'triga',
      node: model.nodes.map(encodeNode),
      initializer: model.initializers.map(encodeTensor),
      input: model.inputs.map(encodePort),
      output: model.outputs.map(encodePort),
    },
  });
  return toBinary(ModelProtoSchema, message);
}

function encodeNode({ operator, domain, inputs, outputs, attrs }: OnnxNode) {
  return {
    name: outputs[0] ?? '',
    opType: operator,
    domain,
    input: [...inputs],
    output: [...outputs],
    attribute: Object.entries(attrs).map(([name, attr]) => ({ name, ...encodeAttr(attr) })),
  };
}

function encodeAttr(attr: OnnxAttr): MessageInitShape<typeof AttributeProtoSchema> {
  switch (typeof attr) {
    case 'bigint':
      return { type: AttributeType.INT, i: attr };
    case 'number':
      return { type: AttributeType.FLOAT, f: attr };
    case 'string':
      return { type: AttributeType.STRING, s: new TextEncoder().encode(attr) };
    default:
      return { type: AttributeType.INTS, ints: attr.map(BigInt) };
  }
}

function encodeTensor({ name, dtype, shape, data }: OnnxTensor): MessageInitShape<typeof TensorProtoSchema> {
  const type = { name, dataType: onnxTypes[dtype], dims: shape.map(BigInt) };
  if (data instanceof Uint8Array) return { ...type, rawData: Uint8Array.from(data) };
  const { location, offset, bytes } = data;
  return {
    ...type,
    dataLocation: DataLocation.EXTERNAL,
    externalData: Object.entries({ location, offset, length: bytes }).map(([key, value]) => ({
      key,
      value: String(value),
    })),
  };
}

function encodePort({ name, dtype, shape }: OnnxPort): MessageInitShape<typeof ValueInfoProtoSchema> {
  const dim = shape.map((size) => {
    if (size === undefined) return {};
    return typeof size === 'number'
      ? { value: { case: 'dimValue' as const, value: BigInt(size) } }
      : { value: { case: 'dimParam' as const, value: size } };
  });
  return {
    name,
    type: { value: { case: 'tensorType', value: { elemType: onnxTypes[dtype], shape: { dim } } } },
  };
}
