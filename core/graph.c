/* core/graph.c: recording: nodes, values, views, reads, stores, labels, poison. */
#include <stdio.h>
#include <string.h>

#include "core/internal.h"

static const char *const dtype_names[] = {"f32", "i32", "u8"};

rv_status rv_graph_create(rv_device *device, rv_graph **out) {
    if (out) *out = NULL;
    if (!device || !out) return RV_INVALID_ARGUMENT;
    rv_graph *graph = rv_alloc(device, 1, sizeof *graph);
    if (!graph) return rv_fail(&device->error, RV_OUT_OF_MEMORY, "no memory for a graph");
    rv_device_retain(device);
    graph->device = device;
    *out = graph;
    if (!device->backend) {
        return rv_fail(&graph->error, RV_WRONG_STATE, "graph: the device did not open: %.400s", device->error.text);
    }
    /* value 0 is the poisoned one, label 0 none */
    if (!rv_grow(device, (void **)&graph->values, &graph->value_capacity, 0, sizeof *graph->values) ||
        !rv_grow(device, (void **)&graph->labels, &graph->label_capacity, 0, sizeof *graph->labels)) {
        return rv_fail(&graph->error, RV_OUT_OF_MEMORY, "no memory for a graph");
    }
    graph->values[0] = (rv_value){0};
    graph->labels[0] = NULL;
    graph->value_count = graph->label_count = 1;
    return RV_OK;
}

void rv_graph_destroy(rv_graph *graph) {
    if (!graph) return;
    rv_device *device = graph->device;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        if (graph->nodes[i].array) rv_array_release(graph->nodes[i].array);
    }
    for (uint32_t i = 1; i < graph->label_count; i++) rv_free(device, graph->labels[i]);
    rv_free(device, graph->labels);
    rv_free(device, graph->nodes);
    rv_free(device, graph->values);
    rv_free(device, graph);
    rv_device_release(device);
}

rv_status rv_graph_status(const rv_graph *graph) { return graph ? graph->error.status : RV_INVALID_ARGUMENT; }
const char *rv_graph_message(const rv_graph *graph) { return graph ? graph->error.text : "no graph"; }

/* ---- labels ---- */

void rv_graph_push(rv_graph *graph, const char *label) {
    if (!graph || !label) return;
    size_t length = strlen(graph->scope);
    snprintf(graph->scope + length, sizeof graph->scope - length, "%s%s", length ? "/" : "", label);
}

void rv_graph_pop(rv_graph *graph) {
    if (!graph) return;
    char *slash = strrchr(graph->scope, '/');
    *(slash ? slash : graph->scope) = 0;
}

/* The number of the label in force; the last one recorded is usually it. */
static bool current_label(rv_graph *graph, uint32_t *label) {
    *label = 0;
    if (!graph->scope[0]) return true;
    for (uint32_t i = graph->label_count; i-- > 1;) {
        if (strcmp(graph->labels[i], graph->scope) == 0) {
            *label = i;
            return true;
        }
    }
    if (!rv_grow(graph->device, (void **)&graph->labels, &graph->label_capacity, graph->label_count, sizeof *graph->labels)) {
        return false;
    }
    char *copy = rv_copy_text(graph->device, graph->scope);
    if (!copy) return false;
    graph->labels[graph->label_count] = copy;
    *label = graph->label_count++;
    return true;
}

/* ---- poison ---- */

static void keep_mistake(rv_graph *graph, rv_status status, const char *op, const char *format, va_list arguments) {
    if (graph->error.status != RV_OK) return;
    char text[400];
    vsnprintf(text, sizeof text, format, arguments);
    rv_fail(&graph->error, status, "%s%s%s: %s", op, graph->scope[0] ? " at " : "", graph->scope, text);
}

rv_tensor rv_poison(rv_graph *graph, rv_status status, const char *op, const char *format, ...) {
    if (!graph) return RV_NONE;
    va_list arguments;
    va_start(arguments, format);
    keep_mistake(graph, status, op, format, arguments);
    va_end(arguments);
    return (rv_tensor){graph, 0};
}

rv_tensor rv_graph_refuse(rv_graph *graph, rv_status status, const char *what, const char *format, ...) {
    if (!graph) return RV_NONE;
    va_list arguments;
    va_start(arguments, format);
    keep_mistake(graph, status == RV_OK ? RV_INVALID_ARGUMENT : status, what, format, arguments);
    va_end(arguments);
    return (rv_tensor){graph, 0};
}

static rv_tensor no_memory(rv_graph *graph, const char *op) {
    return rv_poison(graph, RV_OUT_OF_MEMORY, op, "no memory to record it");
}

rv_graph *rv_graph_of(const rv_tensor *tensors, int count, const char *op, bool *poisoned) {
    rv_graph *graph = NULL;
    *poisoned = false;
    for (int i = 0; i < count; i++) {
        if (!tensors[i].graph) continue;
        if (!graph) graph = tensors[i].graph;
        if (tensors[i].id == 0) *poisoned = true;
        if (tensors[i].graph != graph) {
            rv_graph *other = tensors[i].graph;
            bool foreign = other->device != graph->device;
            rv_poison(other, foreign ? RV_WRONG_DEVICE : RV_INVALID_ARGUMENT, op,
                      "input %d belongs to another graph%s; pass data between graphs through an array", i,
                      foreign ? " on another device" : "");
            rv_poison(graph, foreign ? RV_WRONG_DEVICE : RV_INVALID_ARGUMENT, op,
                      "input %d belongs to another graph%s; pass data between graphs through an array", i,
                      foreign ? " on another device" : "");
            *poisoned = true;
        }
    }
    return graph;
}

/* ---- nodes and values ---- */

static rv_node *append_node(rv_graph *graph, uint32_t op, const rv_tensor *inputs, int input_count, int output_count) {
    if (!rv_grow(graph->device, (void **)&graph->nodes, &graph->node_capacity, graph->node_count, sizeof *graph->nodes)) return NULL;
    uint32_t label;
    if (!current_label(graph, &label)) return NULL;
    rv_node *node = &graph->nodes[graph->node_count];
    *node = (rv_node){.op = op, .input_count = input_count, .output_count = output_count, .label = label};
    for (int i = 0; i < input_count; i++) node->input[i] = inputs[i].id;
    node->first_output = graph->value_count;
    for (int i = 0; i < output_count; i++) {
        if (!rv_grow(graph->device, (void **)&graph->values, &graph->value_capacity, graph->value_count, sizeof *graph->values)) {
            graph->value_count = node->first_output;
            return NULL;
        }
        graph->values[graph->value_count++] = (rv_value){.node = graph->node_count, .output = (uint32_t)i};
    }
    graph->node_count++;
    return node;
}

static void shape_value(rv_graph *graph, uint32_t id, rv_dtype dtype, int64_t rows, int64_t cols) {
    rv_value *value = &graph->values[id];
    value->dtype = dtype;
    value->rows = rows;
    value->cols = cols;
    value->root = id;
    value->offset = 0;
    value->stride = cols;
}

/* Every shape passes here, so that no later product can overflow. */
static bool fits(const rv_graph *graph, rv_dtype dtype, int64_t rows, int64_t cols) {
    size_t count, bytes;
    return rows >= 0 && cols >= 0 && rv_mul_size((size_t)rows, (size_t)cols, &count) &&
           rv_mul_size(count, graph->device->caps.element_bytes[dtype], &bytes) && bytes <= PTRDIFF_MAX / 2;
}

rv_tensor rv_append(rv_graph *graph, rv_op op, const rv_tensor *inputs, int input_count, const rv_shape *outputs,
                    int output_count, const rv_attributes *attributes) {
    const char *name = rv_op_info_get(op)->name;
    for (int i = 0; i < output_count; i++) {
        if (!fits(graph, outputs[i].dtype, outputs[i].rows, outputs[i].cols)) {
            return rv_poison(graph, RV_TOO_LARGE, name, "a result of [%lld, %lld] %s is more than memory can be addressed",
                             (long long)outputs[i].rows, (long long)outputs[i].cols, dtype_names[outputs[i].dtype]);
        }
    }
    rv_node *node = append_node(graph, op, inputs, input_count, output_count);
    if (!node) return no_memory(graph, name);
    if (attributes) node->attributes = *attributes;
    for (int i = 0; i < output_count; i++) {
        shape_value(graph, node->first_output + (uint32_t)i, outputs[i].dtype, outputs[i].rows, outputs[i].cols);
    }
    return (rv_tensor){graph, node->first_output};
}

rv_tensor rv_append_view(rv_tensor x, int64_t rows, int64_t cols, int64_t offset, int64_t stride, bool stop) {
    rv_graph *graph = x.graph;
    if (!graph || x.id == 0) return x;
    rv_node *node = append_node(graph, RV_NODE_VIEW, &x, 1, 1);
    if (!node) return no_memory(graph, "view");
    node->attributes.i[0] = stop;
    const rv_value *seen = &graph->values[x.id];
    rv_value *value = &graph->values[node->first_output];
    shape_value(graph, node->first_output, seen->dtype, rows, cols);
    value->root = seen->root;
    value->offset = seen->offset + offset;
    value->stride = stride;
    return (rv_tensor){graph, node->first_output};
}

rv_tensor rv_output(rv_tensor first, int index) {
    if (!first.graph || first.id == 0) return first;
    return (rv_tensor){first.graph, first.id + (uint32_t)index};
}

const rv_value *rv_value_of(rv_tensor tensor) { return &tensor.graph->values[tensor.id]; }

int64_t rv_tensor_rows(rv_tensor tensor) { return tensor.graph && tensor.id ? rv_value_of(tensor)->rows : 0; }
int64_t rv_tensor_cols(rv_tensor tensor) { return tensor.graph && tensor.id ? rv_value_of(tensor)->cols : 0; }
rv_dtype rv_tensor_dtype(rv_tensor tensor) { return tensor.graph && tensor.id ? rv_value_of(tensor)->dtype : RV_F32; }

/* ---- arrays ---- */

static bool usable(rv_graph *graph, rv_array *array, const char *op) {
    if (!array) rv_poison(graph, RV_INVALID_ARGUMENT, op, "the array is NULL");
    else if (array->gone) rv_poison(graph, RV_OBJECT_GONE, op, "array %s was destroyed", array->name);
    else if (array->device != graph->device) {
        rv_poison(graph, RV_WRONG_DEVICE, op, "array %s is on device %s, the graph on %s; copy it over with rv_array_read and rv_array_write",
                  array->name, array->device->caps.name, graph->device->caps.name);
    } else if (!array->buffer) rv_poison(graph, RV_WRONG_STATE, op, "array %s was never created: %.200s", array->name, array->error.text);
    else return true;
    return false;
}

static bool overlap(int64_t a, int64_t a_count, int64_t b, int64_t b_count) { return a < b + b_count && b < a + a_count; }

/* The same read with no store between, if there is one: a weight used twice is one value. */
static uint32_t earlier_read(const rv_graph *graph, const rv_array *array, int64_t offset, int64_t rows, int64_t cols) {
    for (uint32_t i = graph->node_count; i-- > 0;) {
        const rv_node *node = &graph->nodes[i];
        if (node->array != array) continue;
        if (node->op == RV_NODE_STORE) {
            const rv_value *stored = &graph->values[node->input[0]];
            if (overlap(offset, rows * cols, node->offset, stored->rows * stored->cols)) return 0;
            continue;
        }
        const rv_value *value = &graph->values[node->first_output];
        if (node->offset == offset && value->rows == rows && value->cols == cols) return node->first_output;
    }
    return 0;
}

rv_tensor rv_read_part(rv_graph *graph, rv_array *array, int64_t offset, int64_t rows, int64_t cols) {
    if (!graph) return RV_NONE;
    if (graph->value_count == 0 || !usable(graph, array, "rv_read")) return (rv_tensor){graph, 0};
    int64_t size = array->rows * array->cols;
    if (offset < 0 || rows < 0 || cols < 1 || !fits(graph, array->dtype, rows, cols) || offset > size || rows * cols > size - offset) {
        return rv_poison(graph, RV_SHAPE_MISMATCH, "rv_read_part", "[%lld, %lld] from element %lld on is outside array %s of [%lld, %lld]",
                         (long long)rows, (long long)cols, (long long)offset, array->name, (long long)array->rows, (long long)array->cols);
    }
    uint32_t known = earlier_read(graph, array, offset, rows, cols);
    if (known) return (rv_tensor){graph, known};
    rv_node *node = append_node(graph, RV_NODE_READ, NULL, 0, 1);
    if (!node) return no_memory(graph, "rv_read");
    node->array = array;
    node->offset = offset;
    rv_array_retain(array);
    shape_value(graph, node->first_output, array->dtype, rows, cols);
    return (rv_tensor){graph, node->first_output};
}

rv_tensor rv_read(rv_graph *graph, rv_array *array) {
    return rv_read_part(graph, array, 0, rv_array_rows(array), array ? array->cols : 1);
}

static void append_store(rv_array *array, int64_t offset, rv_tensor tensor, const char *op) {
    rv_graph *graph = tensor.graph;
    rv_node *node = append_node(graph, RV_NODE_STORE, &tensor, 1, 0);
    if (!node) {
        no_memory(graph, op);
        return;
    }
    node->array = array;
    node->offset = offset;
    rv_array_retain(array);
}

void rv_store_part(rv_array *array, int64_t offset, rv_tensor tensor) {
    rv_graph *graph = tensor.graph;
    if (!graph || tensor.id == 0 || !usable(graph, array, "rv_store")) return;
    const rv_value *value = rv_value_of(tensor);
    int64_t size = array->rows * array->cols, count = value->rows * value->cols;
    if (value->dtype != array->dtype) {
        rv_poison(graph, RV_TYPE_MISMATCH, "rv_store", "array %s is %s, the tensor %s; rv_cast makes them alike", array->name,
                  dtype_names[array->dtype], dtype_names[value->dtype]);
    } else if (offset < 0 || offset > size || count > size - offset) {
        rv_poison(graph, RV_SHAPE_MISMATCH, "rv_store_part", "a tensor of [%lld, %lld] from element %lld on does not fit into array %s of [%lld, %lld]",
                  (long long)value->rows, (long long)value->cols, (long long)offset, array->name, (long long)array->rows,
                  (long long)array->cols);
    } else {
        append_store(array, offset, tensor, "rv_store");
    }
}

void rv_store(rv_array *array, rv_tensor tensor) {
    rv_graph *graph = tensor.graph;
    if (!graph || tensor.id == 0 || !usable(graph, array, "rv_store")) return;
    const rv_value *value = rv_value_of(tensor);
    if (value->rows != array->rows || value->cols != array->cols) {
        rv_poison(graph, RV_SHAPE_MISMATCH, "rv_store", "array %s is [%lld, %lld], the tensor [%lld, %lld]; rv_store_part stores a part",
                  array->name, (long long)array->rows, (long long)array->cols, (long long)value->rows, (long long)value->cols);
        return;
    }
    rv_store_part(array, 0, tensor);
}

uint32_t rv_hash_name(const char *name) {
    uint32_t hash = 2166136261u;
    for (; *name; name++) hash = (hash ^ (uint8_t)*name) * 16777619u;
    return hash;
}
