/* vulkan_probe [mistake]: names the first Vulkan device and makes a buffer on it, of no bytes if a
 * mistake is asked for, which the validation layers must report. Exits 1 if there is no device. */
#include <stdio.h>
#include <vulkan/vulkan.h>

static VkInstance open_instance(void)
{
    VkApplicationInfo about = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = VK_API_VERSION_1_2};
    VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &about};
    VkInstance instance = VK_NULL_HANDLE;
    return vkCreateInstance(&info, NULL, &instance) == VK_SUCCESS ? instance : VK_NULL_HANDLE;
}

static VkPhysicalDevice first_device(VkInstance instance)
{
    VkPhysicalDevice device = VK_NULL_HANDLE;
    VkPhysicalDeviceProperties about;
    uint32_t count = 1;
    if (vkEnumeratePhysicalDevices(instance, &count, &device) < 0 || count == 0)
        return VK_NULL_HANDLE;
    vkGetPhysicalDeviceProperties(device, &about);
    printf("%s, driver version %u\n", about.deviceName, about.driverVersion);
    return device;
}

static int make_buffer(VkPhysicalDevice physical, VkDeviceSize size)
{
    float priority = 1;
    VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1, .pQueuePriorities = &priority};
    VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                               .queueCreateInfoCount = 1,
                               .pQueueCreateInfos = &queue};
    VkBufferCreateInfo bytes = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                .size = size,
                                .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT};
    VkDevice device = VK_NULL_HANDLE;
    VkBuffer buffer = VK_NULL_HANDLE;
    if (vkCreateDevice(physical, &info, NULL, &device) != VK_SUCCESS)
        return 1;
    int failed = vkCreateBuffer(device, &bytes, NULL, &buffer) != VK_SUCCESS;
    if (!failed)
        vkDestroyBuffer(device, buffer, NULL);
    vkDestroyDevice(device, NULL);
    return failed;
}

int main(int count, char **arguments)
{
    (void)arguments;
    VkInstance instance = open_instance();
    if (!instance) {
        puts("no Vulkan driver could be opened");
        return 1;
    }
    VkPhysicalDevice device = first_device(instance);
    if (!device)
        puts("there is no Vulkan device");
    int rc = device ? make_buffer(device, count > 1 ? 0 : 16) : 1;
    vkDestroyInstance(instance, NULL);
    return rc;
}
