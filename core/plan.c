/* core/plan.c: from a graph to prepared launches, and running them. */
#include <string.h>
#include <time.h>

#include "core/planner.h"

struct rv_plan {
    rv_device *device;
    rv_error error;
    rv_launch *launches;
    double *seconds; /* of the last profile, by launch */
    int64_t launch_count;
    rv_buffer **chunks;
    uint32_t chunk_count;
    rv_program *program;
    rv_array **arrays; /* every array it touches, retained */
    uint32_t array_count, array_capacity;
    uint64_t arrays_gone; /* the device's count when the arrays were last looked at */
    char **labels;
    uint32_t label_count;
    bool frozen, ready;
    rv_plan_report report;
};

/* ---- lowering ---- */

static bool retain_array(rv_plan *plan, rv_array *array) {
    for (uint32_t i = 0; i < plan->array_count; i++) {
        if (plan->arrays[i] == array) return true;
    }
    if (!rv_grow(plan->device, (void **)&plan->arrays, &plan->array_capacity, plan->array_count, sizeof *plan->arrays)) return false;
    plan->arrays[plan->array_count++] = array;
    rv_array_retain(array);
    return true;
}

static rv_operand operand_of(const rv_plan *plan, const rv_planner *planner, uint32_t id) {
    if (id == 0) return (rv_operand){0};
    const rv_value *value = &planner->graph->values[id];
    const rv_place *place = &planner->places[value->root];
    rv_operand operand = {.rows = value->rows, .cols = value->cols, .stride = value->stride, .dtype = value->dtype};
    if (place->array && !place->copied) {
        operand.buffer = place->array->buffer;
        operand.offset = (size_t)(place->offset + value->offset);
    } else if (place->used) {
        operand.buffer = plan->chunks[place->chunk];
        operand.offset = place->address / plan->device->caps.element_bytes[value->dtype] + (size_t)value->offset;
        operand.temporary = true;
    }
    return operand;
}

static rv_operand array_operand(const rv_planner *planner, const rv_node *node, uint32_t like) {
    const rv_value *value = &planner->graph->values[like];
    return (rv_operand){.buffer = node->array->buffer,
                        .offset = (size_t)node->offset,
                        .rows = value->rows,
                        .cols = value->cols,
                        .stride = value->cols,
                        .dtype = value->dtype};
}

static void lower_copy(rv_launch *launch, rv_operand from, rv_operand to) {
    launch->op = RV_OP_COPY;
    launch->input_count = launch->output_count = 1;
    launch->input[0] = from;
    launch->output[0] = to;
}

static void lower_op(const rv_plan *plan, const rv_planner *planner, const rv_node *node, rv_launch *launch) {
    launch->op = (rv_op)node->op;
    launch->attributes = node->attributes;
    launch->input_count = node->input_count;
    launch->output_count = node->output_count;
    for (int k = 0; k < node->input_count; k++) launch->input[k] = operand_of(plan, planner, node->input[k]);
    for (int k = 0; k < node->output_count; k++) launch->output[k] = operand_of(plan, planner, node->first_output + (uint32_t)k);
    if (launch->op == RV_OP_STORE_ROWS) launch->input[0] = launch->output[0]; /* where OLD put it, or the array */
}

static void find_row_inputs(rv_launch *launch, int64_t rows) {
    uint32_t whole = rv_op_info_get(launch->op)->whole;
    for (int k = 0; rows >= 0 && k < launch->input_count; k++) {
        if (launch->input[k].buffer && launch->input[k].rows == rows && !(whole >> k & 1)) launch->row_inputs |= 1u << k;
    }
}

static double bytes_of(const rv_launch *launch, const rv_caps *caps) {
    double bytes = 0;
    for (int k = 0; k < launch->input_count; k++) bytes += (double)rv_operand_count(&launch->input[k]) * (double)caps->element_bytes[launch->input[k].dtype];
    for (int k = 0; k < launch->output_count; k++) bytes += (double)rv_operand_count(&launch->output[k]) * (double)caps->element_bytes[launch->output[k].dtype];
    return bytes;
}

static void lower_item(rv_plan *plan, const rv_planner *planner, const rv_item *item, rv_launch *launch) {
    const rv_node *node = &planner->graph->nodes[item->node];
    switch (item->kind) {
    case RV_ITEM_OP:
        lower_op(plan, planner, node, launch);
        break;
    case RV_ITEM_READ:
        lower_copy(launch, array_operand(planner, node, node->first_output), operand_of(plan, planner, node->first_output));
        break;
    case RV_ITEM_OLD:
        lower_copy(launch, operand_of(plan, planner, node->input[0]), operand_of(plan, planner, node->first_output));
        break;
    case RV_ITEM_STORE:
        lower_copy(launch, operand_of(plan, planner, node->input[0]), array_operand(planner, node, node->input[0]));
        break;
    }
    launch->region = item->region;
    launch->label = plan->labels[node->label];
    launch->flops = rv_launch_flops(launch);
    launch->bytes = bytes_of(launch, &plan->device->caps);
    find_row_inputs(launch, item->rows);
}

static rv_status out_of_memory(rv_plan *plan) { return rv_fail(&plan->error, RV_OUT_OF_MEMORY, "no memory for the plan"); }

static rv_status copy_labels(rv_plan *plan, const rv_graph *graph) {
    plan->labels = rv_alloc(plan->device, graph->label_count, sizeof *plan->labels);
    if (!plan->labels) return out_of_memory(plan);
    plan->label_count = graph->label_count;
    for (uint32_t i = 0; i < graph->label_count; i++) {
        plan->labels[i] = rv_copy_text(plan->device, i ? graph->labels[i] : "");
        if (!plan->labels[i]) return out_of_memory(plan);
    }
    return RV_OK;
}

static rv_status allocate_chunks(rv_plan *plan, const rv_planner *planner) {
    rv_device *device = plan->device;
    plan->chunks = rv_alloc(device, planner->chunk_count, sizeof *plan->chunks);
    if (!plan->chunks) return out_of_memory(plan);
    for (uint32_t i = 0; i < planner->chunk_count; i++) {
        rv_status status = device->backend->allocate(device->state, planner->chunks[i], &plan->error, &plan->chunks[i]);
        if (status != RV_OK) return status;
        plan->chunk_count++;
        plan->report.arena_bytes += (int64_t)planner->chunks[i];
    }
    return RV_OK;
}

static rv_status lower(rv_plan *plan, const rv_planner *planner) {
    const rv_graph *graph = planner->graph;
    rv_status status = copy_labels(plan, graph);
    if (status == RV_OK) status = allocate_chunks(plan, planner);
    if (status != RV_OK) return status;
    plan->launches = rv_alloc(plan->device, planner->item_count, sizeof *plan->launches);
    plan->seconds = rv_alloc(plan->device, planner->item_count, sizeof *plan->seconds);
    if (!plan->launches || !plan->seconds) return out_of_memory(plan);
    for (uint32_t i = 0; i < graph->node_count; i++) {
        if (planner->needed[i] && graph->nodes[i].array && !retain_array(plan, graph->nodes[i].array)) return out_of_memory(plan);
    }
    plan->launch_count = planner->item_count;
    for (uint32_t i = 0; i < planner->item_count; i++) {
        lower_item(plan, planner, &planner->items[planner->order[i]], &plan->launches[i]);
        plan->report.flops += plan->launches[i].flops;
    }
    for (uint32_t v = 1; v < graph->value_count; v++) {
        const rv_place *place = &planner->places[v];
        if (place->bytes) plan->report.values++;
        if (place->used && !place->into && graph->values[v].root == v && (!place->array || place->copied)) {
            plan->report.value_bytes += graph->values[v].rows * graph->values[v].cols * (int64_t)plan->device->caps.element_bytes[graph->values[v].dtype];
        }
    }
    plan->report.launches = plan->launch_count;
    plan->report.regions = planner->region_count;
    plan->arrays_gone = plan->device->arrays_gone;
    return RV_OK;
}

/* ---- making ---- */

typedef struct rv_choice {
    rv_device *device;
    bool expand, stops;
} rv_choice;

/* Which nodes stay as they are; see rv_graph_expand. */
static bool keep(void *user, uint32_t op, const rv_attributes *attributes) {
    const rv_choice *choice = user;
    if (op == RV_NODE_VIEW) return !(choice->stops && attributes->i[0]);
    if (op >= RV_OP_COUNT || rv_op_info_get((rv_op)op)->level == RV_BASIC) return true;
    return !choice->expand && choice->device->backend->supports(choice->device->state, (rv_op)op, attributes);
}

static bool needs_rewrite(const rv_graph *graph, rv_choice *choice) {
    for (uint32_t i = 0; i < graph->node_count; i++) {
        if (!keep(choice, graph->nodes[i].op, &graph->nodes[i].attributes)) return true;
    }
    return false;
}

static rv_status check_supported(rv_plan *plan, const rv_graph *graph) {
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const rv_node *node = &graph->nodes[i];
        if (node->op < RV_OP_COUNT && !plan->device->backend->supports(plan->device->state, (rv_op)node->op, &node->attributes)) {
            return rv_fail(&plan->error, RV_UNSUPPORTED, "%s has neither kernel nor expansion on %s", rv_op_info_get((rv_op)node->op)->name,
                           plan->device->caps.name);
        }
        if (node->array && node->array->gone) {
            return rv_fail(&plan->error, RV_OBJECT_GONE, "array %s was destroyed after it was recorded", node->array->name);
        }
    }
    return RV_OK;
}

static void free_planner(rv_planner *planner) {
    rv_device *device = planner->device;
    rv_free(device, planner->needed);
    rv_free(device, planner->forwarded);
    rv_free(device, planner->joined);
    rv_free(device, planner->places);
    rv_free(device, planner->items);
    rv_free(device, planner->order);
    rv_free(device, planner->position);
    rv_free(device, planner->edges);
    rv_free(device, planner->chunks);
}

static rv_status build(rv_plan *plan, const rv_graph *graph, bool keep_order) {
    rv_device *device = plan->device;
    rv_status status = check_supported(plan, graph);
    if (status != RV_OK) return status;
    rv_planner planner = {.device = device,
                          .graph = graph,
                          .error = &plan->error,
                          .keep_order = keep_order || device->caps.guard,
                          .regions = device->caps.regions && !keep_order && !device->caps.guard};
    planner.needed = rv_alloc(device, graph->node_count, sizeof *planner.needed);
    planner.forwarded = rv_alloc(device, graph->node_count, sizeof *planner.forwarded);
    planner.joined = rv_alloc(device, graph->node_count, sizeof *planner.joined);
    planner.places = rv_alloc(device, graph->value_count, sizeof *planner.places);
    status = planner.needed && planner.forwarded && planner.joined && planner.places ? RV_OK : out_of_memory(plan);
    if (status == RV_OK) status = rv_planner_hazards(&planner);
    if (status == RV_OK) rv_planner_join(&planner);
    if (status == RV_OK) status = rv_planner_schedule(&planner);
    if (status == RV_OK) status = rv_planner_place(&planner);
    if (status == RV_OK) status = lower(plan, &planner);
    free_planner(&planner);
    if (status != RV_OK) return status;
    status = device->backend->prepare(device->state, plan->launches, plan->launch_count, &plan->error, &plan->program);
    if (status != RV_OK) return status;
    const int64_t dispatches = device->backend->dispatches ? device->backend->dispatches(device->state, plan->program) : -1;
    plan->report.dispatches = dispatches < 0 ? plan->launch_count : dispatches;
    return RV_OK;
}

rv_status rv_plan_create(rv_graph *graph, const rv_plan_options *options, rv_plan **out) {
    if (out) *out = NULL;
    if (!graph || !out) return RV_INVALID_ARGUMENT;
    rv_device *device = graph->device;
    rv_plan *plan = rv_alloc(device, 1, sizeof *plan);
    if (!plan) return rv_fail(&device->error, RV_OUT_OF_MEMORY, "no memory for a plan");
    rv_device_retain(device);
    plan->device = device;
    *out = plan;
    rv_plan_options given = {0};
    if (options) memcpy(&given, options, options->size < sizeof given ? options->size : sizeof given);
    if (options && options->size == 0) {
        return rv_fail(&plan->error, RV_INVALID_ARGUMENT, "rv_plan_create: options->size is 0; set it to sizeof(rv_plan_options)");
    }
    if (graph->error.status != RV_OK) {
        plan->error = graph->error;
        return plan->error.status;
    }
    rv_choice choice = {device, given.expand != 0, given.keep_order != 0};
    rv_graph *rewritten = NULL;
    rv_status status = RV_OK;
    if (needs_rewrite(graph, &choice)) {
        status = rv_graph_expand(graph, keep, &choice, &rewritten);
        if (status != RV_OK) rv_fail(&plan->error, status, "%s", rewritten ? rewritten->error.text : "no memory to expand the graph");
    }
    if (status == RV_OK) status = build(plan, rewritten ? rewritten : graph, given.keep_order != 0);
    rv_graph_destroy(rewritten);
    plan->ready = status == RV_OK;
    return status;
}

void rv_plan_destroy(rv_plan *plan) {
    if (!plan) return;
    rv_device *device = plan->device;
    rv_error ignored;
    if (device->backend && (plan->program || plan->chunk_count)) device->backend->sync(device->state, &ignored);
    if (plan->program) device->backend->release_program(device->state, plan->program);
    for (uint32_t i = 0; i < plan->chunk_count; i++) device->backend->release(device->state, plan->chunks[i]);
    for (uint32_t i = 0; i < plan->array_count; i++) rv_array_release(plan->arrays[i]);
    for (uint32_t i = 0; i < plan->label_count; i++) rv_free(device, plan->labels[i]);
    rv_free(device, plan->labels);
    rv_free(device, plan->arrays);
    rv_free(device, plan->chunks);
    rv_free(device, plan->launches);
    rv_free(device, plan->seconds);
    rv_free(device, plan);
    rv_device_release(device);
}

/* ---- running ---- */

static rv_status check_arrays(rv_plan *plan) {
    if (!plan->ready) return plan->error.status != RV_OK ? plan->error.status : RV_WRONG_STATE;
    if (plan->arrays_gone == plan->device->arrays_gone) return RV_OK;
    for (uint32_t i = 0; i < plan->array_count; i++) {
        if (plan->arrays[i]->gone) {
            return rv_fail(&plan->error, RV_OBJECT_GONE, "array %s was destroyed; make the plan anew without it", plan->arrays[i]->name);
        }
    }
    plan->arrays_gone = plan->device->arrays_gone;
    return RV_OK;
}

/* Runs everything but the copies that stop gradients. */
static rv_status run_frozen(rv_plan *plan) {
    const rv_device *device = plan->device;
    for (int64_t i = 0; i < plan->launch_count; i++) {
        const rv_launch *launch = &plan->launches[i];
        if (launch->op == RV_OP_COPY && launch->attributes.i[0]) continue;
        rv_status status = device->backend->run(device->state, plan->program, i, 1, &plan->error);
        if (status != RV_OK) return status;
    }
    return RV_OK;
}

rv_status rv_plan_run(rv_plan *plan) {
    if (!plan) return RV_INVALID_ARGUMENT;
    rv_status status = check_arrays(plan);
    if (status != RV_OK) return status;
    if (plan->frozen) return run_frozen(plan);
    return plan->device->backend->run(plan->device->state, plan->program, 0, plan->launch_count, &plan->error);
}

void rv_plan_freeze(rv_plan *plan, bool frozen) { plan->frozen = frozen; }

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

rv_status rv_plan_profile(rv_plan *plan) {
    if (!plan) return RV_INVALID_ARGUMENT;
    rv_status status = check_arrays(plan);
    const rv_device *device = plan->device;
    for (int64_t i = 0; i < plan->launch_count && status == RV_OK; i++) {
        double start = now();
        status = device->backend->run(device->state, plan->program, i, 1, &plan->error);
        if (status == RV_OK) status = device->backend->sync(device->state, &plan->error);
        plan->seconds[i] = now() - start;
    }
    return status;
}

const char *rv_plan_message(const rv_plan *plan) { return plan ? plan->error.text : "no plan"; }

rv_status rv_plan_report_get(const rv_plan *plan, rv_plan_report *report) {
    if (!plan || !report || report->size == 0) return RV_INVALID_ARGUMENT;
    size_t size = report->size < sizeof *report ? report->size : sizeof *report;
    rv_plan_report full = plan->report;
    full.size = size;
    memcpy(report, &full, size);
    return plan->ready ? RV_OK : RV_WRONG_STATE;
}

rv_status rv_plan_launch(const rv_plan *plan, int64_t index, rv_launch_info *info) {
    if (!plan || !info || info->size == 0 || index < 0 || index >= plan->launch_count) return RV_INVALID_ARGUMENT;
    const rv_launch *launch = &plan->launches[index];
    rv_launch_info full = {.op = rv_op_info_get(launch->op)->name,
                           .label = launch->label,
                           .rows = launch->output[0].rows,
                           .cols = launch->output[0].cols,
                           .region = launch->region,
                           .flops = launch->flops,
                           .bytes = launch->bytes,
                           .seconds = plan->seconds[index]};
    if (launch->op == RV_OP_MAP1 || launch->op == RV_OP_MAP2) full.op = rv_map_name((rv_map)launch->attributes.i[0]);
    size_t size = info->size < sizeof full ? info->size : sizeof full;
    full.size = size;
    memcpy(info, &full, size);
    return RV_OK;
}
