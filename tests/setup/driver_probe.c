/* driver_probe.c - computes a few numbers on the first Vulkan device. Exits 0 if they are right.
 *
 * Built and run by scripts/driver.sh to see whether a newly unpacked driver works; probe_spirv.h is the
 * compiled driver_probe.comp. Whatever it leaves open ends with the process. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <vulkan/vulkan.h>

#include "probe_spirv.h"

enum { COUNT = 64, GROUP = 8 };

static void must(VkResult result, const char *what)
{
    if (result != VK_SUCCESS) {
        printf("%s failed: %d\n", what, (int)result);
        exit(1);
    }
}
#define MUST(call) must(call, #call)

static VkPhysicalDevice physical;
static VkDevice device;

static void open_device(void)
{
    VkApplicationInfo about = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = VK_API_VERSION_1_2};
    VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &about};
    VkInstance instance;
    uint32_t count = 1;
    MUST(vkCreateInstance(&info, NULL, &instance));
    VkResult found = vkEnumeratePhysicalDevices(instance, &count, &physical);
    if (found < 0 || count == 0) {
        puts("there is no Vulkan device");
        exit(1);
    }
    VkPhysicalDeviceProperties is;
    vkGetPhysicalDeviceProperties(physical, &is);
    printf("%s, driver version %u\n", is.deviceName, is.driverVersion);
    float priority = 1;
    VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1, .pQueuePriorities = &priority};
    VkDeviceCreateInfo wanted = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                 .queueCreateInfoCount = 1,
                                 .pQueueCreateInfos = &queue};
    MUST(vkCreateDevice(physical, &wanted, NULL, &device));
}

/* A buffer of COUNT floats that the host sees. */
static VkBuffer make_buffer(float **numbers)
{
    VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                               .size = COUNT * sizeof **numbers,
                               .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT};
    VkBuffer buffer;
    MUST(vkCreateBuffer(device, &info, NULL, &buffer));
    VkMemoryRequirements needs;
    VkPhysicalDeviceMemoryProperties has;
    vkGetBufferMemoryRequirements(device, buffer, &needs);
    vkGetPhysicalDeviceMemoryProperties(physical, &has);
    const VkMemoryPropertyFlags flags =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    uint32_t type = 0;
    while (type + 1 < has.memoryTypeCount &&
           (!(needs.memoryTypeBits >> type & 1) || (has.memoryTypes[type].propertyFlags & flags) != flags))
        type++;
    VkMemoryAllocateInfo place = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                  .allocationSize = needs.size,
                                  .memoryTypeIndex = type};
    VkDeviceMemory memory;
    void *mapped;
    MUST(vkAllocateMemory(device, &place, NULL, &memory));
    MUST(vkBindBufferMemory(device, buffer, memory, 0));
    MUST(vkMapMemory(device, memory, 0, VK_WHOLE_SIZE, 0, &mapped));
    *numbers = mapped;
    return buffer;
}

static VkDescriptorSetLayout set_layout;
static VkPipelineLayout layout;

static VkPipeline make_pipeline(void)
{
    VkDescriptorSetLayoutBinding binding = {.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                            .descriptorCount = 1,
                                            .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    VkDescriptorSetLayoutCreateInfo set = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
                                           .bindingCount = 1,
                                           .pBindings = &binding};
    MUST(vkCreateDescriptorSetLayout(device, &set, NULL, &set_layout));
    VkPipelineLayoutCreateInfo sets = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                       .setLayoutCount = 1,
                                       .pSetLayouts = &set_layout};
    MUST(vkCreatePipelineLayout(device, &sets, NULL, &layout));
    VkShaderModuleCreateInfo code = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                     .codeSize = sizeof probe_spirv,
                                     .pCode = probe_spirv};
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .pName = "main"},
        .layout = layout};
    VkPipeline pipeline;
    MUST(vkCreateShaderModule(device, &code, NULL, &info.stage.module));
    MUST(vkCreateComputePipelines(device, VK_NULL_HANDLE, 1, &info, NULL, &pipeline));
    return pipeline;
}

static VkDescriptorSet describe(VkBuffer buffer)
{
    VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1};
    VkDescriptorPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                       .maxSets = 1,
                                       .poolSizeCount = 1,
                                       .pPoolSizes = &size};
    VkDescriptorSetAllocateInfo one = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                       .descriptorSetCount = 1,
                                       .pSetLayouts = &set_layout};
    VkDescriptorSet set;
    MUST(vkCreateDescriptorPool(device, &pool, NULL, &one.descriptorPool));
    MUST(vkAllocateDescriptorSets(device, &one, &set));
    VkDescriptorBufferInfo whole = {.buffer = buffer, .range = VK_WHOLE_SIZE};
    VkWriteDescriptorSet write = {.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                  .dstSet = set,
                                  .descriptorCount = 1,
                                  .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                  .pBufferInfo = &whole};
    vkUpdateDescriptorSets(device, 1, &write, 0, NULL);
    return set;
}

static void dispatch(VkPipeline pipeline, VkDescriptorSet set)
{
    VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    VkCommandBufferAllocateInfo one = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                       .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                       .commandBufferCount = 1};
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    VkCommandBuffer commands;
    VkQueue queue;
    MUST(vkCreateCommandPool(device, &pool, NULL, &one.commandPool));
    MUST(vkAllocateCommandBuffers(device, &one, &commands));
    MUST(vkBeginCommandBuffer(commands, &begin));
    vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, &set, 0, NULL);
    vkCmdDispatch(commands, COUNT / GROUP, 1, 1);
    MUST(vkEndCommandBuffer(commands));
    VkSubmitInfo submit = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &commands};
    vkGetDeviceQueue(device, 0, 0, &queue);
    MUST(vkQueueSubmit(queue, 1, &submit, VK_NULL_HANDLE));
    MUST(vkQueueWaitIdle(queue));
}

/* 16 x + 11 + 2^(i mod 8), and a subgroup's sum of ones over its size, all exact in a float */
int main(void)
{
    float *numbers;
    open_device();
    VkBuffer buffer = make_buffer(&numbers);
    for (int i = 0; i < COUNT; i++)
        numbers[i] = (float)i * 0.25f;
    VkPipeline pipeline = make_pipeline();
    dispatch(pipeline, describe(buffer));
    for (int i = 0; i < COUNT; i++) {
        float right = (float)i * 4 + 11 + (float)(1 << i % GROUP) + 1;
        if (numbers[i] != right) {
            printf("number %d is %g instead of %g\n", i, (double)numbers[i], (double)right);
            return 1;
        }
    }
    return 0;
}
